"""What is half a character is found, and the automaton that completes one knows the same texts."""

import unicodedata

from hypothesis import example, given, settings
from hypothesis import strategies as st

from unmask.data.whole_text import STATES, after_all, broken, number_of, states_after

PIECES = [
    b"\xe0",
    b"\xa4",
    b"\xa5",
    b"\x95",
    b"\xbf",
    b"\x8d",
    b"\xe2",
    b"\x80",
    b"\x97",
    b"\x8c",
    b"\xf0",
    b"\x9f",
    b"a",
]
BYTES = st.lists(st.sampled_from([*PIECES, b"\xed", b"\xf4", b"\xc3", b"\xe1", b"\xf1"]), max_size=9).map(b"".join)
START = number_of((b"", False))


@given(data=BYTES | st.binary(max_size=12))
@settings(max_examples=400, deadline=None)
def test_the_automaton_takes_a_text_as_long_as_nothing_in_it_is_broken(data):
    now = int(after_all(range(len(STATES) + 1), [data])[START])
    wrong, state = broken(data, complete=False)
    if now < len(STATES):
        assert not wrong.any() and number_of(state) == now
    else:
        assert wrong.any() or any(unicodedata.combining(c) for c in data.decode("utf-8", "replace"))


@given(text=st.text(max_size=20))
@example(text="\u0915\u094d\u200d\u0937\u093f \u25cc\u093f \u0967\u0964 \u0915\u0301\u093f")
def test_only_signs_without_a_letter_are_broken_in_a_text(text):
    wrong, state = broken(text.encode())
    found = bytes(byte for byte, bad in zip(text.encode(), wrong, strict=True) if bad).decode()
    assert state[0] == b"" and all("\u0900" <= c <= "\u097f" and unicodedata.category(c) in ("Mn", "Mc") for c in found)


def test_half_a_character_at_the_end_is_broken_unless_more_follows():
    half = "ab\u0915".encode()[:-1]
    assert broken(half)[0].tolist() == [False, False, True, True]
    assert broken(half, complete=False)[1] == (b"\xe0\xa4", False) and not broken(half, complete=False)[0].any()


def test_signs_without_a_letter_are_found_and_those_with_one_are_not():
    for text, bad in (
        ("\u093f", 3),
        ("a\u093c", 3),
        ("\u0967\u0947", 3),
        ("\u0915\u093e\u0902", 0),
        ("\u0915\u094d\u200c\u0937", 0),
    ):
        assert broken(text.encode())[0].sum() == bad, text


def test_a_token_of_no_bytes_never_goes_on():
    step = states_after((b"", b"a", "\u093f".encode(), "\u0915\u093f".encode()))
    assert step[START].tolist() == [len(STATES), START, len(STATES), number_of((b"", True))]
