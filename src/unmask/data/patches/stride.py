"""Patches that do not look at the text: a fixed number of bytes, or one (MegaByte, Yu et al. 2023, arXiv 2305.07185).

``fixed`` begins a patch ``stride`` bytes after the last one, later where a code point must end first;
``whole_characters: false`` cuts inside code points too, so that the cuts ignore the content altogether. ``none``
makes every byte a patch of its own, code points or not: the network without patches.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Bool
from pydantic import Field

from unmask.data import utf8
from unmask.data.patches.patcher import PATCHERS, PatcherOptions, PatchStream, bound, bounded


class _Never:
    """The rule of a patcher that only counts."""

    def wanted(self, age: int) -> bool:
        return False

    def push(self, byte: int) -> None:
        pass


class FixedOptions(PatcherOptions):
    """Options of ``fixed``."""

    stride: int = Field(4, ge=1)
    """Bytes a patch."""
    whole_characters: bool = True
    """Keep code points whole; then a patch may have up to three bytes more."""


@PATCHERS.add("fixed")
class Fixed:
    """Patches of equal length."""

    name: ClassVar[str] = "fixed"
    needs_entropy: ClassVar[bool] = False
    Options = FixedOptions

    def __init__(self, options: FixedOptions) -> None:
        self.options = options

    @property
    def longest(self) -> int | None:
        """Bytes that no patch exceeds."""
        return bound(self.options.stride, whole=self.options.whole_characters)

    @property
    def ignores_content(self) -> bool:
        """Whether the cuts are the same for every text of a length."""
        return not self.options.whole_characters

    def starts(self, data: bytes) -> Bool[np.ndarray, " n"]:
        """Return whether each byte begins a patch."""
        n = len(data)
        if self.ignores_content:
            return np.asarray(np.arange(n) % self.options.stride == 0)
        return bounded(np.zeros(n, bool), utf8.free(data), self.options.stride)

    def stream(self) -> PatchStream:
        """Return a stream at the beginning of a text."""
        return PatchStream(_Never(), self.options.stride, whole=self.options.whole_characters)


@PATCHERS.add("none")
class Single:
    """Every byte a patch."""

    name: ClassVar[str] = "none"
    needs_entropy: ClassVar[bool] = False
    longest: int | None = 1
    ignores_content = True
    Options = PatcherOptions

    def __init__(self, options: PatcherOptions) -> None:
        self.options = options

    def starts(self, data: bytes) -> Bool[np.ndarray, " n"]:
        """Return true everywhere."""
        return np.ones(len(data), bool)

    def stream(self) -> PatchStream:
        """Return a stream at the beginning of a text."""
        return PatchStream(_Never(), 1, whole=False)
