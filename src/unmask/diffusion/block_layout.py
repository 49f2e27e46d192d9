"""Where the blocks of a batch lie: every document is cut into whole blocks behind its BOS.

A block whose document ends inside it would tell by its size where. So all blocks are whole: behind an end of text a
block is filled with more of them, which are asked like any word; a writer closes what follows the first. Where a text
was cut off, what follows is not known: places that show a mask and are never asked.

Letters: B batch, T tokens, L places, n words of a block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Layout:
    """A batch whose documents fill whole blocks.

    Attributes:
        batch: The tokens, ends that fill a block included; places that are never asked are padding here.
        source: The position of the batch before that each place comes from.
        owner: Document piece of each place; 0 at padding.
        unknown: Places behind a text that was cut off.
        fill: Places behind the end of a text, known or not.
    """

    batch: Batch
    source: Int[Tensor, "B L"]
    owner: Int[Tensor, "B L"]
    unknown: Bool[Tensor, "B L"]
    fill: Bool[Tensor, "B L"]

    def starts(self, size: Int[Tensor, " B"]) -> Int[Tensor, "B L"]:
        """Return the first place of each place's block, in blocks of each row's size; BOS and padding are alone."""
        column, behind = _places(self.owner)
        alone = (behind == 0) | (self.owner == 0)
        inside = (behind - 1) % size[:, None]
        return torch.where(alone, column, column - inside)


def laid_out(batch: Batch, size: int, words: Vocabulary, isolate: bool = True) -> Layout:
    """Lay a batch out in whole blocks; a batch that is laid out stays as it is.

    Args:
        batch: Packed documents [B, T].
        size: Words of a block (n).
        words: Tells the ends of texts, and what padding is.
        isolate: Documents are apart; else a row is one text.
    """
    owner = batch.segments if isolate else batch.valid.long()
    _, behind = _places(owner)
    following = torch.cat([owner[:, 1:], torch.full_like(owner[:, :1], -1)], 1)
    last = (owner > 0) & (owner != following)
    copies = torch.where(owner > 0, 1 + last * (-behind % size), 0)
    until = copies.cumsum(1)
    width = max(batch.tokens.shape[1], int(until.max()))
    place = torch.arange(width, device=owner.device).expand(len(owner), -1).contiguous()
    source = torch.searchsorted(until, place, right=True).clamp(max=owner.shape[1] - 1)
    there = place < until[:, -1:]
    tokens = batch.tokens.gather(1, source)
    fill = there & (place > (until - copies).gather(1, source))
    unknown = fill & (tokens != words.eos)
    known = there & ~unknown
    laid = replace(
        batch,
        tokens=torch.where(known, tokens, words.pad),
        segments=torch.where(known, batch.segments.gather(1, source), 0),
        supervised=None if batch.supervised is None else batch.supervised.gather(1, source),
    )
    again = torch.cat([torch.zeros_like(fill[:, :1]), (laid.tokens == words.eos)[:, :-1]], 1)
    fill = fill | (again & (laid.tokens == words.eos))
    return Layout(laid, source, torch.where(there, owner.gather(1, source), 0), unknown, fill)


def _places(owner: Int[Tensor, "B T"]) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Return the column of each place, and how many places lie between it and its document's first."""
    column = torch.arange(owner.shape[1], device=owner.device).expand(owner.shape)
    first = torch.ones_like(owner, dtype=torch.bool)
    first[:, 1:] = owner[:, 1:] != owner[:, :-1]
    return column, column - torch.where(first, column, 0).cummax(1).values
