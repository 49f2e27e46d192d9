"""Noise-contrastive estimation: a residual energy learns to tell texts from samples of the byte model.

With as many real texts as samples, the chance that x is real is sigmoid(G(x)), G = ln p(x) - ln p_model(x). For a
residual energy the model cancels:

    G(x) = -f(x) - ln Z          loss = softplus(-G(real)) + softplus(G(sample))

Its minimum over all f is the true log-ratio, and ln Z comes out with it (Gutmann & Hyvarinen 2010). Samples come from
the model as it is, so they need no chains and no gradient, unlike contrastive divergence.

By Neyman and Pearson f *alone* is the best statistic that tells real texts from samples: adding -ln p_model back makes
the density right, and this one test worse.

Letters: S texts.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from unmask.errors import Error
from unmask.roots.rerank.correction import Correction


def nce_loss(real: Float[Tensor, " S"], sample: Float[Tensor, " S"], log_z: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the loss, ln 4 for an energy that knows nothing.

    Args:
        real: f of texts.
        sample: f of samples of the model, as many.
        log_z: ln Z.
    """
    return softplus(real + log_z).mean() + softplus(-sample - log_z).mean()


def learn_correction(
    correction: Correction,
    real: Sequence[bytes],
    sample: Sequence[bytes],
    *,
    steps: int = 150,
    batch: int = 128,
    rate: float = 1e-2,
    held_out: float = 0.1,
    seed: int = 0,
) -> list[float]:
    """Train a correction in place, and keep what was best on texts held out, of ten looks at them.

    Args:
        correction: Learns.
        real: Texts.
        sample: Of the byte model, of the same lengths: else the length alone tells them apart. As many texts of each
            kind make a batch, however many there are.
        steps: Of Adam, its rate falling to 0 on a cosine.
        batch: Texts of each kind a step.
        rate: Of Adam.
        held_out: Share of both kinds that judges; 0: the last step is kept.
        seed: Of the order and of what is held out.

    Returns:
        The loss on what is held out at each look; on the last batch of each tenth of the steps if nothing is.

    Raises:
        Error: there are no texts or no samples left to learn from.
    """
    generator = torch.Generator().manual_seed(seed)
    learn, judge = [], []
    for texts in (real, sample):
        order = torch.randperm(len(texts), generator=generator).tolist()
        aside = math.ceil(held_out * len(texts))
        judge.append(correction.bags([texts[i] for i in order[:aside]]))
        learn.append(correction.bags([texts[i] for i in order[aside:]]))
    if not all(map(len, learn)):
        raise Error("noise-contrastive estimation needs texts and samples of the model; give more of both.")
    adam = torch.optim.Adam(correction.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    looks, kept, best = [], copy.deepcopy(correction.state_dict()), math.inf
    for step in range(steps):
        chosen = [kind.take(torch.randint(len(kind), (batch,), generator=generator)) for kind in learn]
        loss = nce_loss(correction(chosen[0]), correction(chosen[1]), correction.log_z)
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        if (step + 1) % max(1, steps // 10) == 0:
            with torch.no_grad():
                seen = nce_loss(correction(judge[0]), correction(judge[1]), correction.log_z) if held_out else loss
            looks.append(float(seen.detach()))
            if looks[-1] < best or not held_out:
                kept, best = copy.deepcopy(correction.state_dict()), looks[-1]
    correction.load_state_dict(kept)
    return looks
