"""What later patches need of earlier ones in the nested levels, so that a text that grows is not read again.

In each level a patch answers the queries of later ones with a point of its own (``answers``), and is averaged where it
stands (``points``); nothing else passes from one patch to another.

Letters: B texts, P patches, n new ones, L levels, d dimensions of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad


def put(store: Tensor, values: Tensor, at: Int[Tensor, "B n"]) -> None:
    """Write values [B, n, ...] into a store [B, P, ...] at places of each row; what lies beyond its end is dropped."""
    row, column = (at < store.shape[1]).nonzero(as_tuple=True)
    store[row, at[row, column]] = values[row, column].to(store.dtype)


@dataclass
class WubuPast:
    """The patches that the levels have seen.

    Attributes:
        answers: Of each level.
        points: Of each level.
    """

    answers: list[Float[Tensor, "B P d"]]
    points: list[Float[Tensor, "B P d"]]

    @classmethod
    def empty(cls, sizes: Sequence[int], rows: int, capacity: int, like: Tensor) -> WubuPast:
        """Return a past without patches, with ``like``'s device."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        made = [[like.new_zeros((rows, capacity, size), dtype=dtype) for size in sizes] for _ in range(2)]
        return cls(*made)

    def rows(self, index: Int[Tensor, " b"]) -> WubuPast:
        """Return the past of some rows."""
        return WubuPast([part[index] for part in self.answers], [part[index] for part in self.points])

    def to(self, device: torch.device | str) -> WubuPast:
        """Return the past on another device."""
        return WubuPast([part.to(device) for part in self.answers], [part.to(device) for part in self.points])

    @staticmethod
    def stack(pasts: Sequence[WubuPast]) -> WubuPast:
        """Join pasts row-wise; shorter ones are padded to the largest capacity."""
        capacity = max(past.points[0].shape[1] for past in pasts)

        def joined(parts: Sequence[Tensor]) -> Tensor:
            return torch.cat([pad(part, (0, 0, 0, capacity - part.shape[1])) for part in parts])

        return WubuPast(
            [joined(parts) for parts in zip(*(past.answers for past in pasts), strict=True)],
            [joined(parts) for parts in zip(*(past.points for past in pasts), strict=True)],
        )


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
