"""What was said of open positions when they were last looked at, and for how long it has stayed the same.

Between two answers about an open position others were decided or drawn anew, so its context is never quite the same:
what stays is what those words had nothing to say to. An answer has something to be compared with once there was one
before it, so k answers in a row that said the same as the one before are k + 1 looks.

Letters: B rows, T positions, n looked at, S numbers that say something of a position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from unmask.diffusion.carried import Carried

Same = Callable[[Shaped[Tensor, "n S"], Shaped[Tensor, "n S"]], Bool[Tensor, " n"]]


@dataclass(frozen=True)
class Looks(Carried):
    """The last look at each open position.

    Attributes:
        said: What was said: log-probabilities, or the most probable token.
        still: Looks in a row that said the same, the first of them counted; 0 where nobody looked.
    """

    said: Shaped[Tensor, "B T S"]
    still: Int[Tensor, "B T"]

    placed: ClassVar[bool] = True


def looked(before: Looks | None, at: Bool[Tensor, "B T"], said: Shaped[Tensor, "n S"], same: Same) -> Looks:
    """Return the looks after one more.

    Args:
        before: Those before it.
        at: The positions.
        said: What is said of them now.
        same: Tells of what is said now and what was said before whether they are the same.
    """
    told = said.new_zeros(*at.shape, said.shape[1]).masked_scatter(at[..., None], said)
    if before is None:
        return Looks(told, at.long())
    still = before.still[at]
    again = (still > 0) & same(said, before.said[at])
    return Looks(told, torch.zeros_like(before.still).masked_scatter(at, torch.where(again, still + 1, 1)))
