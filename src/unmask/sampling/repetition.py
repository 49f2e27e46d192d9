"""Repetition penalty: what stands in the text already is less likely to come again (Keskar et al. 2019, 1909.05858).

    z_x <- z_x / theta if z_x > 0 else z_x theta       for every token x that stands in the text, given or written

z are the logits; theta = 1 changes nothing. Of bytes nearly all stand in a text soon, so that little is left to choose:
Bytropix used 1.1 to 1.15.

Letters: B rows, T positions, n asked positions, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.sampling.categorical import Drawn
from unmask.sampling.decide import forbidden_at
from unmask.sampling.state import SamplerState


def penalised(state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
    """Return the logits with each row's penalty; the same ones where no row has any."""
    theta = state.setting("repetition_penalty")
    if bool((theta == 1).all()):
        return logits
    words = state.tokens.masked_fill(state.open | ~state.valid, state.vocabulary.mask)
    seen = torch.zeros(len(words), logits.shape[1], dtype=torch.bool, device=logits.device)
    seen.scatter_(1, words, True)
    for special in (state.vocabulary.mask, state.vocabulary.bos, state.vocabulary.eos, state.vocabulary.pad):
        seen[:, special] = False
    row = at.nonzero()[:, 0]
    factor, plain, most = theta[row, None], logits.double(), torch.finfo(logits.dtype).max
    changed = torch.where(plain > 0, plain / factor, plain * factor)
    # an extreme penalty must not make infinity of a number, nor hide one that was there
    changed = torch.where(plain.isfinite(), changed.clamp(-most, most), plain).to(logits.dtype)
    return torch.where(seen[row], changed, logits)


def as_the_model_says(
    state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"], drawn: Drawn
) -> Drawn:
    """Return what was drawn under a penalty with the model's own probabilities."""
    own = logits.double().masked_fill(forbidden_at(state, at, logits), -torch.inf).softmax(-1)
    return replace(drawn, probability=own.gather(1, drawn.token[:, None])[:, 0], peak=own.amax(-1))
