"""The exact distribution of texts of a sampler whose order depends on the visible words alone.

Such a sampler writes a text in one way only: which positions it decides in a step follows from the words of earlier
steps. So with C_1 .. C_k the positions that it decides on the way to a text x,

    q(x) = prod_j prod_{i in C_j} p(x_i | x of C_1 .. C_{j-1})

which is the DUEL likelihood (arXiv 2603.01367) for several positions a step. The sampler itself says what C_j is: it
takes its step, and the words of x are put where it decided.

Letters: L length of a text, K texts, B = K rows, T = L + 1 positions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.certificates.ground import Ground
from unmask.diffusion.state import State
from unmask.sampling.request import Settings, fill_request
from unmask.sampling.sampler import Sampler
from unmask.sampling.state import rows


@dataclass(frozen=True)
class OrderedLaw:
    """What is known of every text of a world, in the order of ``world.all_texts``.

    Attributes:
        law: Probability with which the sampler writes it.
        steps: Steps on the way to it.
        excess: Nats by which the entropies of positions decided together exceed the largest of them, over all steps.
    """

    law: Float[Tensor, " K"]
    steps: Int[Tensor, " K"]
    excess: Float[Tensor, " K"]


def ordered_law(sampler: Sampler, settings: Settings, ground: Ground) -> OrderedLaw:
    """Return the law of a sampler that draws as it is told, in an order that depends on visible words alone.

    Args:
        sampler: It may not reopen anything, nor order by chance or by what it drew: the law would be wrong.
        settings: The end of text is ignored, as a world's texts have one length.
        ground: The world.
    """
    world, vocabulary = ground.world, ground.world.vocabulary
    texts = world.tokens(world.all_texts(ground.length))
    settings = settings.but(ignore_eos=True)
    one = sampler.start([fill_request([], ground.length, vocabulary, settings)], vocabulary)
    state = rows(one, [0] * len(texts))
    nats, excess = torch.zeros(2, len(texts), dtype=torch.float64)
    while not bool(state.done.all()):
        p = world(State(state.tokens)).logits.view(*texts.shape, -1).softmax(-1)
        after, _ = sampler.step(world, state)
        now = state.open & ~after.open
        own = p.gather(2, texts[..., None])[..., 0]
        nats = nats - (own.log() * now).sum(1)
        entropy = torch.special.entr(p).sum(-1) * now
        excess = excess + entropy.sum(1) - entropy.amax(1)
        state = replace(after, tokens=torch.where(now, texts, after.tokens))
    return OrderedLaw((-nats).exp(), state.step, excess)
