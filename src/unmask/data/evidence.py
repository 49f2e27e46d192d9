"""Evidence that goes with the documents of a batch: vectors of texts that their beginnings were looked up with.

A document's *query* is its first tokens, as many as the recipe says: all that a sampler has of a text, its prompt. What
is found with it says nothing about what follows that the query does not say. The query itself is then given: it is
neither hidden nor asked, since the evidence was computed from it.

Letters: B batch, T tokens, M vectors, E their width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True)
class Evidence:
    """Vectors beside the rows of a batch.

    Attributes:
        vectors: In no order.
        valid: False where there is none.
        segments: Document piece that each vector goes with.
        given: True at the tokens of queries whose evidence is here.
    """

    vectors: Float[Tensor, "B M E"]
    valid: Bool[Tensor, "B M"]
    segments: Int[Tensor, "B M"]
    given: Bool[Tensor, "B T"]

    def to(self, device: torch.device | str) -> Evidence:
        """Return it on another device."""
        return Evidence(*(getattr(self, f.name).to(device) for f in fields(self)))

    def only(self, seen: Bool[Tensor, " B"], shown: Bool[Tensor, " B"]) -> Evidence:
        """Return it with vectors in the rows of ``seen`` only, and given queries in those of ``shown``."""
        vectors = self.vectors * seen[:, None, None]
        return replace(self, vectors=vectors, valid=self.valid & seen[:, None], given=self.given & shown[:, None])

    def cut(self, count: int, segments: Int[Tensor, "B*S T"]) -> Evidence:
        """Return that of rows cut into passages, BOS and T - 1 tokens each (see ``diffusion.passages``).

        Args:
            count: Passages of a row (S).
            segments: Document piece of their positions.
        """
        size = segments.shape[1] - 1
        given = pad(self.given, (0, count * size - self.given.shape[1])).view(-1, size)
        vectors, valid, owner = (x.repeat_interleave(count, 0) for x in (self.vectors, self.valid, self.segments))
        here = (owner[:, :, None] == segments[:, None, :]).any(-1)
        return Evidence(vectors, valid & here, owner, pad(given, (1, 0)))
