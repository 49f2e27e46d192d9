"""The collapse check tells repetition from text, in words and without, and says nothing about too little."""

from __future__ import annotations

import pytest

from unmask.evaluation.collapse import collapse

REAL = [
    "Once there was a hen who lived by the old bridge, and every morning she sang to the fox on the other side.",
    "एक बार की बात है, एक छोटी लड़की जंगल के पास रहती थी और हर दिन नदी तक जाती थी।",
    "To be, or not to be, that is the question: Whether 'tis nobler in the mind to suffer the slings and arrows.",
    "from pathlib import Path\n\ndef read(path: Path) -> str:\n    return path.read_text(encoding='utf-8')\n",
    "昔々あるところにおじいさんとおばあさんが住んでいました。ある日川へ洗濯に行きました。",
]
COLLAPSED = [
    "they they they they they they they they they",
    "the cat sat on the mat. the cat sat on the mat. the cat sat on the mat.",
    "the the a the the the of the the a the the",
    ". . . . . . . . . . .",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "नदी नदी नदी नदी नदी नदी नदी नदी नदी",
    "日本日本日本日本日本日本日本日本日本日本日本日本",
]


@pytest.mark.parametrize("text", REAL)
def test_text_has_not_collapsed(text):
    assert collapse(text) is None


@pytest.mark.parametrize("text", COLLAPSED)
def test_repetition_is_told_with_its_share(text):
    assert "%" in collapse(text)


@pytest.mark.parametrize("text", ["", "no no no", "ha ha ha ha"])
def test_too_little_says_nothing(text):
    assert collapse(text) is None
