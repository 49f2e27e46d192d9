"""What is half a character in a text of bytes, and which bytes can complete one: an automaton over UTF-8.

Two things are broken: bytes that are no UTF-8 (table 3-7 of the Unicode standard), and a Devanagari sign (vowel sign,
virama, nukta, candrabindu ...) that no letter carries, which a reader sees on a dotted circle. Letters carry signs;
signs, joiners and accents pass on what carried them; a dotted circle carries any; all else carries none.

Letters: S states, V vocabulary.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Int

from unmask.data import utf8

State = tuple[bytes, bool]
"""The bytes of a character that is begun, and whether what stands before it carries signs."""
_SECOND = {0xE0: (0xA0, 0xC0), 0xED: (0x80, 0xA0), 0xF0: (0x90, 0xC0), 0xF4: (0x80, 0x90)}
_TOLD = [b"\xe0\xa4", b"\xe0\xa5", b"\xe2\x80", b"\xe2\x97", b"\xe0", b"\xe2", b"\xed", b"\xf0", b"\xf4", b""]
_OWES = [b"\xc3", b"\xe1", b"\xf1"]  # stand for all that owe as many bytes
STATES: list[State] = [(begun, carries) for begun in (*_TOLD, *_OWES, b"\xf1\x80", b"\xe1\x80") for carries in (0, 1)]
"""What can be known of a text before its next byte."""
_NUMBER = {state: number for number, state in enumerate(STATES)}


@lru_cache(1 << 12)
def carried(character: str, carries: bool) -> bool | None:
    """Return whether signs may follow a character, ``None`` if it is itself a sign that nothing carries.

    Args:
        character: Which.
        carries: Whether what stands before it carries signs.
    """
    if "\u0900" <= character <= "\u097f":
        category = unicodedata.category(character)
        return (carries or None) if category in ("Mn", "Mc") else category == "Lo"
    if character in "\u200c\u200d":
        return carries
    return character == "\u25cc" or (carries and unicodedata.combining(character) > 0)


def broken(data: bytes, complete: bool = True) -> tuple[Bool[np.ndarray, " n"], State]:
    """Return which bytes are broken, and the state behind the last.

    Args:
        data: A text.
        complete: Nothing follows: a character that is begun at its end is broken, too.
    """
    text = data.decode("utf-8", "surrogateescape")
    wrong = np.zeros(len(data), bool)
    place, carries = 0, False
    for character in text:
        size = 1 if "\udc80" <= character <= "\udcff" else len(character.encode())
        after = None if character >= "\udc80" and size == 1 else carried(character, carries)
        wrong[place : place + size] = after is None
        carries, place = bool(after), place + size
    tail = next((n for n in (3, 2, 1) if n <= len(data) and wrong[-n:].all() and _begins(data[-n:])), 0)
    if not tail:
        return wrong, (b"", carries)
    if not complete:
        wrong[-tail:] = False
    before = broken(data[:-tail])[1] if len(data) > tail else (b"", False)
    return wrong, (data[-tail:], before[1])


def _begins(begun: bytes) -> bool:
    """Tell whether bytes begin a character and do not end it."""
    state: State | None = (b"", False)
    for byte in begun:
        state = _after(state, byte) if state is not None and (state[0] or byte == begun[0]) else None
    return state is not None and bool(state[0])


def _known(begun: bytes) -> bytes:
    """Return what stands in :data:`STATES` for the bytes of a character that is begun."""
    if begun in _TOLD:
        return begun
    return {1: b"\xc3", 2: b"\xe1", 3: b"\xf1"}[owes(begun)]


def owes(begun: bytes) -> int:
    """Return how many bytes end a character that is begun."""
    return int(utf8.OWED[begun[0]]) + 1 - len(begun)


def _after(state: State, byte: int) -> State | None:
    begun, carries = state
    if not begun:
        if byte < 0x80:
            return b"", bool(carried(chr(byte), carries))
        return (_known(bytes([byte])), carries) if utf8.OWED[byte] else None
    low, high = _SECOND.get(begun[0], (0x80, 0xC0)) if len(begun) == 1 else (0x80, 0xC0)
    if not low <= byte < high:
        return None
    whole = begun + bytes([byte])
    if begun not in _OWES and utf8.OWED[begun[0]] + 1 == len(whole):
        after = carried(whole.decode(), carries)
        return None if after is None else (b"", after)
    if begun in _OWES:
        owed = _OWES.index(begun)
        return (b"", False) if owed == 0 else (_OWES[owed - 1], carries)
    return _known(whole), carries


@lru_cache(1)
def _bytes_after() -> Int[np.ndarray, "S 256"]:
    """Return the number of the state after each byte; S, one more than there are, where it must not come."""
    found = np.full((len(STATES) + 1, 256), len(STATES))
    for number, state in enumerate(STATES):
        for byte in range(256):
            after = _after(state, byte)
            if after is not None:
                found[number, byte] = _NUMBER[after]
    return found


@lru_cache(4)
def states_after(table: tuple[bytes, ...]) -> Int[np.ndarray, "S V"]:
    """Return the number of the state after each token, S where it must not come; what has no bytes must not.

    Args:
        table: Bytes of each id.
    """
    size = np.array([len(token) for token in table])
    packed = np.zeros((len(table), size.max()), np.int64)
    for number, token in enumerate(table):
        packed[number, : len(token)] = list(token)
    step = _bytes_after()
    found = np.repeat(np.arange(len(step))[:, None], len(table), 1)
    for place in range(packed.shape[1]):
        found = np.where(place < size, step[found, packed[:, place]], found)
    found[:, size == 0] = len(STATES)
    return found


def number_of(state: State) -> int:
    """Return the number of a state."""
    return _NUMBER[_known(state[0]) if state[0] else b"", state[1]]


def after_all(numbers: Int[np.ndarray, " S"], data: Sequence[bytes]) -> Int[np.ndarray, " S"]:
    """Return the states after tokens, from each of some states; S where they must not come."""
    step = _bytes_after()
    for byte in b"".join(data):
        numbers = step[numbers, byte]
    return numbers
