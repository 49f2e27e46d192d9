"""A key-value cache whose rows advance on their own, so that requests of other lengths share a batch.

Letters: L layers, B rows, H key heads, T capacity in tokens, n new tokens, E head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from unmask.diffusion.carried import Carried, Texts, filled


class Cache(Carried, Protocol):
    """What samplers need of a network's memory of texts that grow."""

    @property
    def lengths(self) -> Int[Tensor, " B"]:
        """Tokens read in each row."""
        ...

    @property
    def capacity(self) -> int:
        """Most tokens of a row."""
        ...

    def rewound(self, lengths: Int[Tensor, " B"]) -> Self:
        """Return it with other lengths, none above its own."""
        ...

    def part(self, index: Int[Tensor, " b"]) -> Self:
        """Return some rows of it; the storage is shared, so what they read is put there."""
        ...

    def put(self, index: Int[Tensor, " b"], part: Self) -> Self:
        """Return it with what some rows have read since they were taken out as a part."""
        ...


@dataclass
class KVCache(Carried):
    """Keys and values of the tokens that were read so far.

    Attributes:
        keys: Keys after the rotary embedding.
        values: Values.
        lengths: Tokens read in each row; a row's next token goes there.
        which: The rows of keys and values that these are, each once, where the storage is a larger cache's; ``None``:
            all of them.
    """

    keys: Float[Tensor, "L B H T E"]
    values: Float[Tensor, "L B H T E"]
    lengths: Int[Tensor, " B"]
    which: Int[Tensor, " b"] | None = None

    @classmethod
    def empty(cls, layers: int, rows: int, heads: int, capacity: int, width: int, like: Tensor) -> KVCache:
        """Return a cache without tokens, with ``like``'s dtype and device."""
        shape = (layers, rows, heads, capacity, width)
        lengths = torch.zeros(rows, dtype=torch.int64, device=like.device)
        return cls(like.new_zeros(shape), like.new_zeros(shape), lengths)

    def write(
        self,
        layer: int,
        keys: Float[Tensor, "B H n E"],
        values: Float[Tensor, "B H n E"],
        at: Int[Tensor, "B n"] | slice,
    ) -> None:
        """Store the keys and values of one layer at positions ``at``; what lies beyond the capacity is dropped.

        Positions that are the same in all rows, one behind the other, may be given as a slice: that is faster.
        """
        if isinstance(at, slice):
            rows = slice(None) if self.which is None else self.which
            self.keys[layer, rows, :, at] = keys.to(self.keys.dtype)
            self.values[layer, rows, :, at] = values.to(self.values.dtype)
            return
        capacity = self.keys.shape[3]
        rows = self.stored(at.device)[:, None]
        inside = at < capacity
        if bool(inside.all()):
            self.keys[layer][rows, :, at] = keys.transpose(1, 2).to(self.keys.dtype)
            self.values[layer][rows, :, at] = values.transpose(1, 2).to(self.values.dtype)
            return
        row, column = inside.nonzero(as_tuple=True)
        to = rows[row, 0], slice(None), at[row, column]
        self.keys[layer][to] = keys.transpose(1, 2)[row, column].to(self.keys.dtype)
        self.values[layer][to] = values.transpose(1, 2)[row, column].to(self.values.dtype)

    def read(self, layer: int, upto: int) -> tuple[Float[Tensor, "B H S E"], Float[Tensor, "B H S E"]]:
        """Return the keys and values of one layer at the first ``upto`` positions."""
        keys, values = (part[layer, :, :, :upto] for part in (self.keys, self.values))
        return (keys, values) if self.which is None else (keys[self.which], values[self.which])

    def stored(self, device: torch.device) -> Int[Tensor, " B"]:
        """Return the number of each row in the storage."""
        return torch.arange(len(self.lengths), device=device) if self.which is None else self.which

    def visible(self, last: Int[Tensor, "B n"], upto: int) -> Bool[Tensor, "B 1 n T"]:
        """Return which of the first ``upto`` cached positions each new token may attend to: those up to ``last``."""
        return (torch.arange(upto, device=last.device)[None, None, :] <= last[:, :, None])[:, None]

    def rewound(self, lengths: Int[Tensor, " B"]) -> KVCache:
        """Return the cache with other lengths, none above its own; the storage is shared."""
        return replace(self, lengths=lengths)

    @property
    def capacity(self) -> int:
        """Most tokens of a row."""
        return self.keys.shape[3]

    def part(self, index: Int[Tensor, " b"]) -> KVCache:
        """Return some rows of the cache; the storage is shared, so what they read is put there."""
        return replace(self, lengths=self.lengths[index], which=self.stored(index.device)[index])

    def put(self, index: Int[Tensor, " b"], part: KVCache) -> KVCache:
        """Return the cache with what some rows have read since they were taken out as a part."""
        return self.rewound(self.lengths.index_copy(0, index, part.lengths))

    def upto(self, length: int) -> KVCache:
        """Return the cache with room for ``length`` tokens at most; the storage is shared."""
        return replace(self, keys=self.keys[:, :, :, :length], values=self.values[:, :, :, :length])

    def blank(self, texts: Texts) -> KVCache:
        """Return a cache of the same network without tokens."""
        layers, _, heads, _, width = self.keys.shape
        return KVCache.empty(layers, len(texts.key), heads, texts.length, width, self.keys)

    def rows(self, index: Int[Tensor, " b"] | Bool[Tensor, " B"]) -> KVCache:
        """Return the cache of some rows."""
        at = self.stored(self.lengths.device)[index]
        return KVCache(self.keys[:, at], self.values[:, at], self.lengths[index])

    @classmethod
    def join(cls, parts: Sequence[KVCache | None], texts: Sequence[Texts]) -> KVCache:
        """Join caches row-wise; shorter ones are padded to the largest capacity."""
        caches = filled(parts, texts)
        capacity = max(c.keys.shape[3] for c in caches)

        def joined(each: list[Tensor]) -> Tensor:
            return torch.cat([pad(p, (0, 0, 0, capacity - p.shape[3])) for p in each], dim=1)

        return KVCache(
            joined([c.keys for c in caches]),
            joined([c.values for c in caches]),
            torch.cat([c.lengths for c in caches]),
        )
