"""Patches end after marks: Bytropix's cuts but for those that would tell what the next byte is."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.patches.parts import ENGLISH, HINDI, TEXT
from unmask.data.patches import make_patcher
from unmask.data.patches.patcher import split

MARK = re.compile(f"([{re.escape(string.punctuation)}{re.escape(string.whitespace)}])")


def cut(name: str, text: str, **options: int) -> list[str]:
    data = text.encode()
    return [patch.decode() for patch in split(data, make_patcher(name, options).starts(data))]


def bytropix_cuts(text: str) -> set[int]:
    """Bytropix's rule: runs of other characters, and each mark alone; the character numbers where a patch begins."""
    parts, place, cuts = [part for part in MARK.split(text) if part], 0, set()
    for part in parts:
        cuts.add(place)
        place += len(part)
    return cuts


@given(text=TEXT.map(bytes.decode) | st.text(alphabet="ab ,\n.", max_size=30))
@settings(max_examples=150, deadline=None)
def test_delimiter_makes_the_cuts_of_bytropix_but_those_before_a_mark(text: str) -> None:
    place, ours = 0, set()
    for patch in cut("delimiter", text):
        ours.add(place)
        place += len(patch)
    if not text:
        return
    before = {t for t in range(1, len(text)) if MARK.fullmatch(text[t]) and not MARK.fullmatch(text[t - 1])}
    assert ours == bytropix_cuts(text) - before
    assert ours <= bytropix_cuts(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one two\n\n  three", ["one ", "two\n", "\n  three"]),
        ("  one two ", ["  one ", "two "]),
        ("a\tb", ["a\t", "b"]),
        (" ", [" "]),
        ("नमस्ते दुनिया", ["नमस्ते ", "दुनिया"]),
    ],
)
def test_words_keep_the_space_that_ends_them(text: str, words: list[str]) -> None:
    assert cut("whitespace", text) == words


def test_a_longest_length_cuts_long_words_only() -> None:
    assert cut("whitespace", "abcdefgh ij", max_length=3) == ["abc", "def", "gh ", "ij"]
    assert cut("whitespace", ENGLISH, max_length=40) == cut("whitespace", ENGLISH)
    assert all(len(word.encode()) <= 6 + 3 for word in cut("delimiter", HINDI, max_length=6))
