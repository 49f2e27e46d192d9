"""Where a character of UTF-8 may begin, told from the bytes before it alone.

A lead byte says how many continuation bytes (10xxxxxx) follow: C2..DF one, E0..EF two, F0..F4 three. While some are
owed, no character begins. A byte that is not the continuation that was owed ends the debt, so that invalid text
resynchronises at once; if it leads, it owes anew. A stray continuation byte owes nothing and is owed by nobody: whether
byte t is one is not known before it is read.

Letters: n bytes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

LONGEST = 4
"""Bytes of the longest code point."""

OWED = np.zeros(256, np.int64)
"""Bytes that follow each byte in its character."""
OWED[0xC2:0xE0], OWED[0xE0:0xF0], OWED[0xF0:0xF5] = 1, 2, 3

CONTINUES = np.zeros(256, bool)
"""Which bytes follow others in a character."""
CONTINUES[0x80:0xC0] = True


def free(data: bytes) -> Bool[np.ndarray, " n"]:
    """Return whether each byte may begin a character: no continuation byte is owed before it."""
    values = np.frombuffer(data, np.uint8)
    owed, continues = OWED[values], CONTINUES[values]
    out = np.ones(len(values), bool)
    unbroken = np.ones(len(values), bool)  # everything since the lead byte continues it
    for back in range(1, LONGEST):
        out[back:] &= ~((owed[:-back] >= back) & unbroken[back:])
        unbroken[back + 1 :] &= continues[1:-back]
    return out


def owed_after(owed: int, byte: int) -> int:
    """Return how many continuation bytes are owed after ``byte``, when ``owed`` were owed before it."""
    return owed - 1 if owed and 0x80 <= byte < 0xC0 else int(OWED[byte])
