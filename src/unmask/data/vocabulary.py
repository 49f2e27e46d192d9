"""The ids of a vocabulary's special tokens, its size, and which tokens begin with a space: known without torch.

Letters: V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unmask.errors import Error

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor


@dataclass(frozen=True)
class Vocabulary:
    """What processes and samplers know of a tokenizer.

    Attributes:
        pad: Fills what lies behind the end of a text.
        bos: First token of every text; never drawn.
        eos: End of text.
        mask: Stands at open positions of a request; never drawn.
        size: Number of tokens (V); 0: not known, which is enough where no token is drawn at random.
        spaced: True for tokens that begin with a space. Needed only where a request has ``lead`` positions.
        table: Bytes that each id stands for, none for specials; ``None``: not known, or no bytes of text.
    """

    pad: int = 0
    bos: int = 1
    eos: int = 2
    mask: int = 3
    size: int = 0
    spaced: Bool[Tensor, " V"] | None = field(default=None, compare=False, repr=False)
    table: tuple[bytes, ...] | None = field(default=None, compare=False, repr=False)

    @property
    def words(self) -> int:
        """Number of tokens that a text can hold behind its BOS: all but padding, BOS and the mask.

        Raises:
            Error: the size is not known.
        """
        if self.size < 5:
            raise Error(f"a vocabulary of {self.size} tokens has nothing to draw from; give its size.")
        return self.size - 3
