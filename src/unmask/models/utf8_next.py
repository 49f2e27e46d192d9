"""Which bytes UTF-8 allows next, from the bytes before: the automaton of the Unicode standard (table 3-7).

    begun nothing      00..7F, C2..F4, and end-of-text
    owes a byte        80..BF; right after E0 A0..BF, after ED 80..9F, after F0 90..BF, after F4 80..8F

A character has four bytes at most, so the state follows from the last three. Where these do not tell it, since the
text is not UTF-8, everything is allowed. A text that is UTF-8 loses nothing: its own next byte is always allowed, so
that renormalising over what is can only raise its probability; and what is drawn always decodes.

Letters: B batch, T positions, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.functional import pad

from unmask.data import utf8
from unmask.models.bytes_options import BYTES, SPECIALS

_END = 2  # id of end-of-text
_SECOND = {0xE0: (0xA0, 0xC0), 0xED: (0x80, 0xA0), 0xF0: (0x90, 0xC0), 0xF4: (0x80, 0x90)}
_FREE, _OWES, _LOST = 0, 1, 2 + len(_SECOND)


def _table() -> Bool[Tensor, "9 V"]:
    table = np.zeros((_LOST + 1, SPECIALS + BYTES), bool)
    table[_FREE, SPECIALS : SPECIALS + 0x80] = True
    table[_FREE, SPECIALS + 0xC2 : SPECIALS + 0xF5] = True
    table[_FREE, _END] = True
    table[_OWES, SPECIALS + 0x80 : SPECIALS + 0xC0] = True
    for number, (low, high) in enumerate(_SECOND.values(), start=2):
        table[number, SPECIALS + low : SPECIALS + high] = True
    table[_LOST] = True
    return torch.from_numpy(table)


ALLOWED = _table()
"""Ids allowed next, by state."""
_OWED = torch.from_numpy(utf8.OWED)
_CONTINUES = torch.from_numpy(utf8.CONTINUES)
_AFTER = torch.full((BYTES,), _OWES)
for _number, _lead in enumerate(_SECOND, start=2):
    _AFTER[_lead] = _number


def states(tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """Return the state after each position, a row of :data:`ALLOWED`; what is no byte begins a text."""
    device = tokens.device
    byte = tokens >= SPECIALS
    values = (tokens - SPECIALS).clamp(min=0)
    owed = _OWED.to(device)[values] * byte
    stray = _CONTINUES.to(device)[values] & byte
    odd = byte & (owed == 0) & ~stray & (values >= 0x80)  # C0, C1, F5..FF: no character begins so
    found = torch.where(odd | stray, _LOST, torch.where(owed > 0, _AFTER.to(device)[values], _FREE))
    unbroken = stray
    for back in range(1, utf8.LONGEST):
        lead = pad(owed, (back, 0))[:, : owed.shape[1]]
        here = unbroken & (lead > 0)
        found = torch.where(here, torch.where(lead > back, _OWES, torch.where(lead == back, _FREE, _LOST)), found)
        unbroken = unbroken & pad(stray, (back, 0))[:, : owed.shape[1]]
    return found


def allowed(tokens: Int[Tensor, "B T"]) -> Bool[Tensor, "B T V"]:
    """Return which ids may follow each position."""
    return ALLOWED.to(tokens.device)[states(tokens)]
