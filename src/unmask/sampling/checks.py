"""What a verifier has said of texts that are being written: of each word, and what it took to say it.

Letters: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unmask.diffusion.carried import Carried

if TYPE_CHECKING:
    from unmask.models.cache import Cache

VERDICTS = ("", "accepted", "rewritten", "skipped", "added")
"""Of a word, by number: none (given, or open); proposed and kept; put in the place of a refused one; not read by the
verifier; the verifier's own behind a draft that was kept whole."""
ACCEPTED, REWRITTEN, SKIPPED, ADDED = 1, 2, 3, 4


@dataclass(frozen=True)
class Places(Carried):
    """Of each position.

    Attributes:
        verdict: Number in VERDICTS.
        again: Whether its word was taken back to be written again in this round.
    """

    verdict: Int[Tensor, "B T"]
    again: Bool[Tensor, "B T"]

    placed: ClassVar[bool] = True


@dataclass(frozen=True)
class Round(Carried):
    """Of a text that is repaired: where its writer stands.

    Attributes:
        number: Times that spans have been written again.
        since: Steps that were taken before.
        opened: Positions that were open then.
        settles: The step, counted from then, from which on the writer reopens nothing.
    """

    number: Int[Tensor, " B"]
    since: Int[Tensor, " B"]
    opened: Int[Tensor, " B"]
    settles: Int[Tensor, " B"]


@dataclass(frozen=True)
class Checks(Carried):
    """Of each text.

    Attributes:
        places: Of its positions.
        calls: Calls of the verifier.
        read: Words that it read in them, those at which it was asked nothing among them.
        proposed: Words that were proposed to it.
        cache: Keys and values of the network that does not write: the drafter, or the verifier of a repair.
        round: Of a repair.
    """

    places: Places
    calls: Int[Tensor, " B"]
    read: Int[Tensor, " B"]
    proposed: Int[Tensor, " B"]
    cache: Cache | None = None
    round: Round | None = None

    @classmethod
    def none(cls, opened: Bool[Tensor, "B T"], round: Round | None = None) -> Checks:
        """Return that nothing was said yet."""
        zero = torch.zeros(len(opened), dtype=torch.int64, device=opened.device)
        places = Places(torch.zeros_like(opened, dtype=torch.int64), torch.zeros_like(opened))
        return cls(places, zero, zero, zero, round=round)

    def of_row(self, row: int, valid: Bool[Tensor, " T"]) -> Checked:
        """Return what was said of a finished text, whose positions are ``valid``."""
        counts = (int(each[row]) for each in (self.calls, self.read, self.proposed))
        return Checked(tuple(self.places.verdict[row][valid].tolist()), *counts)


@dataclass(frozen=True)
class Checked:
    """What a verifier said of a finished text.

    Attributes:
        verdicts: Of each of its tokens, as a number in VERDICTS.
        calls: Calls of the verifier.
        read: Tokens that it read.
        proposed: Words that were proposed to it.
    """

    verdicts: tuple[int, ...]
    calls: int
    read: int
    proposed: int

    @property
    def spans(self) -> list[tuple[str, int, int]]:
        """Spans of one verdict, as (verdict, first position, position behind the last)."""
        return spans(self.verdicts)


def spans(verdicts: Sequence[int]) -> list[tuple[str, int, int]]:
    """Return neighbours of one verdict, as (verdict, first position, position behind the last); none has none."""
    found, at = [], 0
    for number, same in groupby(verdicts):
        size = len(list(same))
        if number:
            found.append((VERDICTS[number], at, at + size))
        at += size
    return found
