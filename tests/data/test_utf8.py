"""Whether a code point is open is told from the bytes before, and invalid text resynchronises at once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.patches.parts import BYTES, EMOJI, HINDI
from unmask.data.utf8 import free, owed_after


@given(text=st.text(max_size=20) | st.sampled_from([HINDI, EMOJI]))
@settings(max_examples=50, deadline=None)
def test_in_valid_text_exactly_the_first_bytes_of_characters_are_free(text: str) -> None:
    expected = [i == 0 for character in text for i in range(len(character.encode()))]
    assert free(text.encode()).tolist() == expected


@given(data=BYTES)
@settings(max_examples=200, deadline=None)
def test_the_whole_says_what_the_stream_says(data: bytes) -> None:
    owed, expected = 0, []
    for byte in data:
        expected.append(owed == 0)
        owed = owed_after(owed, byte)
        assert 0 <= owed <= 3
    assert free(data).tolist() == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xe0\xa4a\xa8b", [1, 0, 0, 1, 1]),  # broken off by a letter; the stray continuation owes nothing
        (b"\xe0\xf0\x9f\x98\x80a", [1, 0, 0, 0, 0, 1]),  # a lead byte ends the debt of another and has its own
        (b"\x80\x80a", [1, 1, 1]),
        (b"\xc0\x80\xff\xf5a", [1, 1, 1, 1, 1]),  # bytes that begin nothing in UTF-8
    ],
)
def test_invalid_bytes_resynchronise(data: bytes, expected: list[int]) -> None:
    assert free(data).tolist() == [bool(flag) for flag in expected]
