"""Vectors of retrieved texts that go with a text, in no order, beside its words. The network owns their projection.

Letters: B batch, M vectors, E their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.carried import Carried, Texts
from unmask.errors import Error


@dataclass(frozen=True)
class Memory(Carried):
    """Retrieved vectors.

    Attributes:
        vectors: Of any encoder.
        valid: False where there is none.
        segments: Document piece that each goes with; ``None``: rows hold one piece.
    """

    vectors: Float[Tensor, "B M E"]
    valid: Bool[Tensor, "B M"]
    segments: Int[Tensor, "B M"] | None = None

    @classmethod
    def join(cls, parts: Sequence[Memory | None], texts: Sequence[Texts]) -> Memory:
        """Join vectors; a row that was given none has none that is there.

        Raises:
            Error: vectors of different widths.
        """
        if len({part.vectors.shape[2] for part in parts if part is not None}) > 1:
            raise Error("memories of different widths cannot share a batch; look them up in one index.")
        return super().join(parts, texts)
