"""Babylon patches: a patch begins where the next byte is hard to tell, by an entropy that is known before that byte.

    threshold   H_t > theta
    jump        H_t - H_{t-1} > theta            (t > 0)
    both        H_t > theta and H_t - H_{t-1} > jump

Where the entropies are those of characters (``ByteEntropy.unit``), t - 1 is the character before.

After Pagnoni et al. 2024, "Byte Latent Transformer: Patches Scale Better Than Tokens" (arXiv 2412.09871), whose
entropies come from a network and whose rule ``jump`` is called approximately monotonic. Bytropix gave these patches
their name and computed entropies of whole patches, which it never used; its actual rule is ``delimiter``.

**Reset.** A model with a long memory grows sure of whatever repeats, and its entropies drift below a fixed theta.
``reset`` makes it forget: every so many bytes, or all before a newline once the newline is read. An n-gram sees a few
bytes only and has no drift to mend; there a reset costs it context, and every-N itself makes patches begin at multiples
of N, where H jumps.

**Graphemes.** Whether a sign follows a letter is not known before it is read, so a Devanagari letter may always go on.
``unit: grapheme`` leaves out the cuts behind one, signs and joiners included: words of Devanagari stay whole, and what
follows a blank, a digit, a danda or a letter of another script may be cut off. Only ``max_length`` still cuts inside.

theta has no default that fits two corpora or two entropy models: :mod:`unmask.data.patches.calibrate` finds it.

Letters: n bytes of a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64
from pydantic import Field, model_validator

from unmask.data import utf8
from unmask.data.entropy import ByteEntropy
from unmask.data.patches.patcher import PATCHERS, Bounded, PatchStream, bound, bounded
from unmask.data.whole_text import carried
from unmask.errors import Error

_NEWLINE = 0x0A


class BabylonOptions(Bounded):
    """Options of ``babylon``."""

    rule: Literal["threshold", "jump", "both"] = "threshold"
    """What makes a byte begin a patch."""
    theta: float | None = None
    """Nats; ``None``: to be calibrated."""
    jump: float = 0.0
    """Nats that the entropy has to rise by under ``both``."""
    reset: Annotated[int, Field(ge=1)] | Literal["newline"] | None = None
    """When the entropy model forgets: every so many bytes, or what came before a newline; ``None``: never."""
    unit: Literal["character", "grapheme"] = Field("character", exclude_if=lambda value: value == "character")
    """What no cut of the rule splits: a code point, or a letter of Devanagari with its signs, too."""
    max_length: int | None = Field(16, ge=1)
    """Bytes after which a patch ends at the next code point; ``None``: no bound."""

    @model_validator(mode="after")
    def _used(self) -> BabylonOptions:
        if self.rule != "both" and self.jump:
            raise ValueError(f"jump belongs to rule 'both'; under {self.rule!r} theta alone decides")
        return self


@dataclass(frozen=True)
class Calibration:
    """How a theta was found.

    Attributes:
        wanted: Mean patch size that was asked for, in bytes.
        found: Mean patch size with that theta, on the text that it was found on.
        bytes: Bytes of that text.
    """

    wanted: float
    found: float
    bytes: int


@PATCHERS.add("babylon")
class Babylon:
    """Patches by causal entropy.

    Args:
        options: The rule.
        entropy: A fitted model.
        calibration: How its theta was found, where it was.
    """

    name: ClassVar[str] = "babylon"
    needs_entropy: ClassVar[bool] = True
    ignores_content = False
    Options = BabylonOptions

    def __init__(self, options: BabylonOptions, entropy: ByteEntropy, calibration: Calibration | None = None) -> None:
        self.options, self.entropy, self.calibration = options, entropy, calibration

    @property
    def longest(self) -> int | None:
        """Bytes that no patch exceeds; ``None``: no bound."""
        return bound(self.options.max_length)

    def scores(self, data: bytes) -> Float64[np.ndarray, " n"]:
        """Return what theta is compared with before each byte; -inf where no theta makes a start."""
        h = self.entropy.entropy(data, _since(data, self.options.reset))
        if self.options.unit == "grapheme":
            return np.where(_carried(data), -np.inf, self._scored(data, h))
        return self._scored(data, h)

    def _scored(self, data: bytes, h: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        if self.options.rule == "threshold":
            return h
        rise = h - h[_previous(data, self.entropy.unit)]
        return rise if self.options.rule == "jump" else np.where(rise > self.options.jump, h, -np.inf)

    def starts(self, data: bytes) -> Bool[np.ndarray, " n"]:
        """Return whether each byte begins a patch.

        Raises:
            Error: theta was never set.
        """
        return bounded(self.scores(data) > self._theta(), utf8.free(data), self.options.max_length)

    def stream(self) -> PatchStream:
        """Return a stream at the beginning of a text.

        Raises:
            Error: theta was never set.
        """
        return PatchStream(_Rule(self.options, self._theta(), self.entropy), self.options.max_length)

    def _theta(self) -> float:
        if self.options.theta is None:
            raise Error("the babylon patcher has no theta. Calibrate it to a mean patch size, or set theta (nats).")
        return self.options.theta


class _Rule:
    """The same rule, byte by byte."""

    def __init__(self, options: BabylonOptions, theta: float, entropy: ByteEntropy) -> None:
        self._options, self._theta = options, theta
        self._stream = entropy.stream()
        self._h = self._last = self._stream.value
        self._characters = entropy.unit == "character"
        self._read = self._owed = 0
        self._carries, self._tail = False, b""

    def wanted(self, age: int) -> bool:
        if self._carries and self._options.unit == "grapheme":
            return False
        if self._options.rule == "jump":
            return self._h - self._last > self._theta
        rises = self._options.rule == "threshold" or self._h - self._last > self._options.jump
        return rises and self._h > self._theta

    def push(self, byte: int) -> None:
        self._stream.push(byte)
        self._read += 1
        reset = self._options.reset
        if reset == "newline":
            if byte == _NEWLINE:
                self._stream.forget(1)
        elif reset is not None and self._read % reset == 0:
            self._stream.forget(0)
        if not (self._characters and self._owed):
            self._last = self._h
        self._owed = utf8.owed_after(self._owed, byte)
        self._h = self._stream.value
        self._tail = (self._tail + bytes([byte]))[-3:]
        if not self._owed:
            does = _CARRIES.get(self._tail, False)
            self._carries = self._carries if does is None else does


def _does(character: str) -> bool | None:
    """Return whether signs may follow a character of Devanagari, ``None``: it is one itself, or a joiner."""
    return None if carried(character, True) and not carried(character, False) else bool(carried(character, False))


_CARRIES = {c.encode(): _does(c) for c in map(chr, (*range(0x900, 0x980), 0x200C, 0x200D, 0x25CC))}
"""Characters of three bytes; all others carry no sign."""


def _carried(data: bytes) -> Bool[np.ndarray, " n"]:
    """Return whether a sign could go on with what stands before each byte; it depends on the bytes before alone."""
    whole = np.append(utf8.free(data), True)[1:]
    does = [_CARRIES.get(data[max(0, end - 2) : end + 1], False) for end in range(len(data))]
    tells = np.array([each is not None for each in does], bool)
    last = np.maximum.accumulate(np.where(whole & tells, np.arange(len(data)), -1))
    after: Bool[np.ndarray, " n"] = np.append(np.array([each is True for each in does], bool), False)[last]
    return np.append(False, after)[: len(data)]


def _previous(data: bytes, unit: Literal["byte", "character"]) -> Int64[np.ndarray, " n"]:
    """Return the byte, or the first byte of the character, before each byte; 0 for the first."""
    places = np.arange(len(data))
    begun = places if unit == "byte" else np.maximum.accumulate(np.where(utf8.free(data), places, 0))
    return np.append(0, begun)[:-1]


def _since(data: bytes, reset: int | Literal["newline"] | None) -> Int64[np.ndarray, " n"] | None:
    """Return the first byte that the entropy before each byte may see; it depends on the bytes before alone."""
    places = np.arange(len(data))
    if reset is None:
        return None
    if reset == "newline":
        newline = np.frombuffer(data, np.uint8) == _NEWLINE
        return np.maximum.accumulate(np.where(np.append(False, newline)[:-1], places - 1, 0)) if len(data) else places
    return places - places % reset
