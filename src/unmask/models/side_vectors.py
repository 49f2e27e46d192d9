"""Vectors that go with a text, in no order, beside its words: retrieved evidence, thoughts.

A backbone decides what they are to it (``eco``: slots; ``transformer``: positions of their own before the text) and
gives back what became of them. Nobody sees those that are not there, nor those of another document.

Letters: B batch, M vectors, D width, G documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.errors import Error
from unmask.models.token_places import HIDDEN, Layout


@dataclass(frozen=True)
class Memories:
    """Vectors of the network's width.

    Attributes:
        vectors: The vectors.
        there: False where there is none.
        owner: Document piece that each goes with; ``None``: rows hold one piece.
    """

    vectors: Float[Tensor, "B M D"]
    there: Bool[Tensor, "B M"]
    owner: Int[Tensor, "B M"] | None

    def by_document(self, layout: Layout) -> tuple[Float[Tensor, "G M D"], Float[Tensor, "G 1 1 M"]]:
        """Return the vectors of each document, and ``HIDDEN`` where there is none.

        Raises:
            Error: rows hold several documents and nobody says whose each vector is.
        """
        there = self.there[layout.row]
        if layout.piece is not None:
            there = there & (self.owners[layout.row] == layout.piece[:, None])
        return self.vectors[layout.row], torch.where(there, 0.0, HIDDEN)[:, None, None]

    def by_row(self, became: Float[Tensor, "G M D"], layout: Layout) -> Float[Tensor, "B M D"]:
        """Return what became of each row's vectors, taken from its own document; 0 where it has none."""
        if layout.piece is None:
            return became
        there = self.there[layout.row] & (self.owners[layout.row] == layout.piece[:, None])
        out = torch.zeros_like(self.vectors, dtype=became.dtype)
        return out.index_add(0, layout.row, became * there[..., None].to(became.dtype))

    @property
    def owners(self) -> Int[Tensor, "B M"]:
        """Document piece of each vector.

        Raises:
            Error: nobody said.
        """
        if self.owner is None:
            raise Error("rows hold several documents: say whose each vector of the memory is (Memory.segments).")
        return self.owner


def joined(parts: list[Memories]) -> Memories | None:
    """Return several kinds of vectors as one, in the order given."""
    if len(parts) < 2:
        return parts[0] if parts else None
    vectors = torch.cat([part.vectors for part in parts], 1)
    owners = [part.owner for part in parts if part.owner is not None]
    owner = torch.cat(owners, 1) if len(owners) == len(parts) else None
    return Memories(vectors, torch.cat([part.there for part in parts], 1), owner)
