"""How uncertain the next byte is before it is read: the contract of the models that patches, ROOTS and controls share.

    H_t = -sum_x p(x | b_<t) ln p(x | b_<t)   in nats, over the model's own symbols (bytes; end-of-text)

H_t is a function of the bytes before t alone, so whatever is decided from it is known before byte t is. A model may
say it of the whole character that byte t begins instead, whose first byte is the easy one in scripts of several bytes a
letter.

Letters: n bytes of a text.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float64, Int64


class EntropyStream(Protocol):
    """The entropies of one text that comes byte by byte."""

    @property
    def value(self) -> float:
        """H of the byte to come, in nats."""
        ...

    def push(self, byte: int) -> None:
        """Read one byte."""
        ...

    def forget(self, keep: int) -> None:
        """From here on, see only the last ``keep`` bytes that were read; no change where these are the whole text."""
        ...


class ByteEntropy(Protocol):
    """Anything that says, before each byte of a text, how uncertain it is.

    Attributes:
        unit: What its entropies are of: the next byte, or the character that it begins.
    """

    unit: Literal["byte", "character"]

    def entropy(self, data: bytes, since: Int64[np.ndarray, " n"] | None = None) -> Float64[np.ndarray, " n"]:
        """Return H before each byte, in nats: that of byte t from ``data[since[t]:t]``.

        Args:
            data: The text, from its beginning.
            since: First byte that each H may see (0 <= since[t] <= t, never falling). 0 shows the whole text and that
                it begins there; after any other, what came before is unknown. ``None``: 0 everywhere.
        """
        ...

    def stream(self) -> EntropyStream:
        """Return a stream at the beginning of a text, whose values are those of :meth:`entropy`."""
        ...
