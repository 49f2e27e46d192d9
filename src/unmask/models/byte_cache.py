"""What the byte network keeps of texts that grow: only new bytes pass the layers, only new patches what is between.

Everything is a function of the bytes that were read, so a text is taken back to an earlier length by ``rewound`` alone:
what was kept of later bytes and patches is written over when others come.

Letters: B rows, T capacity in bytes (and in patches), D width, M width of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from unmask.models.cache import KVCache
from unmask.models.wubu_past import WubuPast


@dataclass
class ByteCache:
    """The state of some texts.

    Attributes:
        tokens: Ids that were read.
        hidden: What the encoder made of them.
        memory: What the decoder reads of each finished patch.
        encoder: Keys and values of the layers within patches.
        latent: What stands between keeps of its patches.
        reads: Keys and values of the memory, for each decoder layer; ``None``: it reads the last one only.
        decoder: Keys and values of the decoder's own attention.
    """

    tokens: Int[Tensor, "B T"]
    hidden: Float[Tensor, "B T D"]
    memory: Float[Tensor, "B T M"]
    encoder: KVCache
    latent: KVCache | WubuPast | None
    reads: KVCache | None
    decoder: KVCache

    @property
    def lengths(self) -> Int[Tensor, " B"]:
        """Tokens read in each row."""
        return self.decoder.lengths

    def rewound(self, lengths: Int[Tensor, " B"]) -> ByteCache:
        """Return the cache with other lengths, none above its own; the storage is shared."""
        return replace(self, decoder=self.decoder.rewound(lengths))

    def to(self, device: torch.device | str) -> ByteCache:
        """Return the cache on another device."""
        tensors = (self.tokens.to(device), self.hidden.to(device), self.memory.to(device))
        latent = None if self.latent is None else self.latent.to(device)
        reads = None if self.reads is None else self.reads.to(device)
        return ByteCache(*tensors, self.encoder.to(device), latent, reads, self.decoder.to(device))

    def rows(self, index: Int[Tensor, " b"]) -> ByteCache:
        """Return the cache of some rows."""
        tensors = (self.tokens[index], self.hidden[index], self.memory[index])
        latent = None if self.latent is None else self.latent.rows(index)
        reads = None if self.reads is None else self.reads.rows(index)
        return ByteCache(*tensors, self.encoder.rows(index), latent, reads, self.decoder.rows(index))

    def emptied(self, rows: int, capacity: int) -> ByteCache:
        """Return a cache of the same network without tokens."""
        latent = self.latent
        if isinstance(latent, KVCache):
            latent = latent.emptied(rows, capacity)
        elif latent is not None:
            latent = WubuPast.empty([part.shape[2] for part in latent.points], rows, capacity, latent.points[0])
        return ByteCache(
            self.tokens.new_zeros(rows, capacity),
            self.hidden.new_zeros(rows, capacity, self.hidden.shape[2]),
            self.memory.new_zeros(rows, capacity, self.memory.shape[2]),
            self.encoder.emptied(rows, capacity),
            latent,
            None if self.reads is None else self.reads.emptied(rows, capacity),
            self.decoder.emptied(rows, capacity),
        )

    @staticmethod
    def stack(caches: Sequence[ByteCache]) -> ByteCache:
        """Join caches of one network row-wise; shorter ones are padded to the largest capacity."""
        capacity = max(cache.tokens.shape[1] for cache in caches)

        def joined(name: str) -> Tensor:
            parts: list[Tensor] = [getattr(cache, name) for cache in caches]
            return torch.cat([pad(p, (0, 0) * (p.ndim - 2) + (0, capacity - p.shape[1])) for p in parts])

        latents, reads = [cache.latent for cache in caches], [cache.reads for cache in caches]
        kept: KVCache | WubuPast | None = None
        if isinstance(latents[0], KVCache):
            kept = KVCache.stack([part for part in latents if isinstance(part, KVCache)])
        elif latents[0] is not None:
            kept = WubuPast.stack([part for part in latents if isinstance(part, WubuPast)])
        return ByteCache(
            joined("tokens"),
            joined("hidden"),
            joined("memory"),
            KVCache.stack([cache.encoder for cache in caches]),
            kept,
            None if reads[0] is None else KVCache.stack([part for part in reads if part is not None]),
            KVCache.stack([cache.decoder for cache in caches]),
        )
