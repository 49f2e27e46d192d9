"""What the byte network keeps of texts that grow: only new bytes pass the layers, only new patches what is between.

Everything is a function of the bytes that were read, so a text is taken back to an earlier length by ``rewound`` alone:
what was kept of later bytes and patches is written over when others come.

Letters: B rows, T capacity in bytes (and in patches), D width, M width of the memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from unmask.diffusion.carried import Carried
from unmask.models.cache import KVCache
from unmask.models.wubu_past import WubuPast


@dataclass
class ByteCache(Carried):
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

    placed: ClassVar[bool] = True

    @property
    def lengths(self) -> Int[Tensor, " B"]:
        """Tokens read in each row."""
        return self.decoder.lengths

    def rewound(self, lengths: Int[Tensor, " B"]) -> ByteCache:
        """Return the cache with other lengths, none above its own; the storage is shared."""
        return replace(self, decoder=self.decoder.rewound(lengths))
