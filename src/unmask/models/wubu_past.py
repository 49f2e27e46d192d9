"""What later patches need of earlier ones in the nested levels, so that a text that grows is not read again.

In each level a patch answers the queries of later ones with a point of its own (``answers``), and is averaged where it
stands (``points``); nothing else passes from one patch to another.

Letters: B texts, P patches, n new ones, L levels, d dimensions of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.diffusion.carried import Carried


def put(store: Tensor, values: Tensor, at: Int[Tensor, "B n"]) -> None:
    """Write values [B, n, ...] into a store [B, P, ...] at places of each row; what lies beyond its end is dropped."""
    row, column = (at < store.shape[1]).nonzero(as_tuple=True)
    store[row, at[row, column]] = values[row, column].to(store.dtype)


@dataclass
class WubuPast(Carried):
    """The patches that the levels have seen.

    Attributes:
        answers: Of each level.
        points: Of each level.
    """

    answers: list[Float[Tensor, "B P d"]]
    points: list[Float[Tensor, "B P d"]]

    placed: ClassVar[bool] = True

    @classmethod
    def empty(cls, sizes: Sequence[int], rows: int, capacity: int, like: Tensor) -> WubuPast:
        """Return a past without patches, with ``like``'s device."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        made = [[like.new_zeros((rows, capacity, size), dtype=dtype) for size in sizes] for _ in range(2)]
        return cls(*made)


@dataclass(frozen=True)
class LevelPast:
    """The part of one level, while new patches pass it.

    Attributes:
        answers: Of the patches so far.
        points: Likewise.
        at: Numbers of the new patches.
    """

    answers: Float[Tensor, "B P d"]
    points: Float[Tensor, "B P d"]
    at: Int[Tensor, "B n"]

    def take(self, answers: Tensor, points: Tensor, upto: int) -> tuple[Tensor, Tensor]:
        """Take in new patches, and return answers and points of the first ``upto``."""
        put(self.answers, answers, self.at)
        put(self.points, points, self.at)
        return self.answers[:, :upto], self.points[:, :upto]
