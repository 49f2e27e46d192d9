r"""A mask that is random: a vector is drawn for a text, or for each stretch of it, and added where that shows the mask.

A network predicts the open words of a text independently of each other, so words that one step decides together are
drawn from a product, whatever it was trained for. With a vector z that all of them see, the step is a mixture,

    p(x_s | x_t) = E_z [ prod over decided p of p(x_p | x_t, z) ],        z ~ N(0, I),

which a product is only where z means nothing (mixtures: Di4C, Hayakawa et al. 2025, arXiv 2410.08709; the mask as the
place where z enters: IMDM, Yoo et al. 2026, arXiv 2605.10518, where each position has its own). z is drawn anew
whenever the number of open words changes, so that it tells nothing of what is decided, in training as in writing. A
step that decides nothing leaves it, and may be left out.

By Jensen's inequality the mean over z of any upper bound on -log p(x | z) is one on -log E_z p(x | z): the bound of a
masked process stays one when each draw shows a z of its own. It is the looser the more z means.

Letters: B batch, T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unmask.diffusion.carried import Carried
from unmask.diffusion.noise import Noise

if TYPE_CHECKING:
    from unmask.diffusion.state import State


@dataclass(frozen=True)
class RandomMask(Carried):
    """The vector of each row, by its key: the network knows how wide it is.

    Attributes:
        key: Noise key of the row's vector (see :class:`unmask.diffusion.noise.Noise`).
        at: The positions that show the mask.
        words: Positions that share a vector; 0: all of a row do.
    """

    key: Int[Tensor, " B"]
    at: Bool[Tensor, "B T"]
    words: int = 0

    @property
    def stretch(self) -> Int[Tensor, " T"]:
        """Number of the vector that each position has."""
        column = torch.arange(self.at.shape[1], device=self.at.device)
        return column // self.words if self.words else torch.zeros_like(column)


def with_random_mask(state: State, mask: int, key: Int[Tensor, " B"], words: int = 0) -> State:
    """Return a state whose masks show the vectors that belong to a row's key and to its number of masks."""
    at = state.tokens == mask
    if state.valid is not None:
        at = at & state.valid
    return replace(state, random_mask=RandomMask(Noise(0, key).fold(at.sum(1)).keys, at, words))
