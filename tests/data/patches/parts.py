"""A fitted patcher of every kind and setting, and texts that are hard to cut."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.patches import PATCHERS, make_patcher

HINDI = "नमस्ते दुनिया, कैसे हैं आप सब?\nक्‍ष और क्ष। "
EMOJI = "👨‍👩‍👧 🇮🇳 ok 😀😀\n"
ENGLISH = "The quick brown fox, it jumped;\n\n  over  the lazy dog's back.\n"
TEXTS = [text.encode() * 4 for text in (HINDI, EMOJI, ENGLISH)]
ENTROPY = NgramEntropy(ByteNgram(4).fit(TEXTS))
CHARACTERS = NgramEntropy(ENTROPY.model, "character")

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("none", {}),
    ("fixed", {}),
    ("fixed", {"stride": 3, "whole_characters": False}),
    ("fixed", {"stride": 1}),
    ("whitespace", {}),
    ("whitespace", {"max_length": 5}),
    ("delimiter", {}),
    ("delimiter", {"max_length": 1}),
    ("random", {}),
    ("random", {"hazards": (0.0, 0.5, 0.1, 1.0), "seed": 3}),
    ("random", {"hazards": (0.3, 0.0, 0.2)}),
    ("babylon", {"theta": 1.5}),
    ("babylon", {"theta": 2.0, "max_length": None}),
    ("babylon", {"theta": 0.5, "rule": "jump", "max_length": 6, "reset": 7}),
    ("babylon", {"theta": 1.0, "rule": "both", "jump": 0.2, "reset": "newline"}),
    ("babylon", {"theta": 99.0, "max_length": 3}),
    ("babylon", {"theta": 0.3, "unit": "grapheme"}),
    ("babylon", {"theta": 0.5, "rule": "jump", "unit": "grapheme", "max_length": None}),
    ("characters", {"theta": 2.0}),
    ("characters", {"theta": 0.3, "rule": "jump", "reset": 9, "max_length": 8}),
]
"""Patcher and options; "characters" is babylon over the entropies of characters."""

PIECES = [*HINDI, *EMOJI, *ENGLISH]
TEXT = st.lists(st.sampled_from(PIECES), max_size=40).map("".join).map(str.encode)
BROKEN = st.lists(st.sampled_from([b"\xe0", b"\xa4", b"\xf0\x9f", b"\x80", b"a", b" ", b"\n", b"\xff", b"\xc0"])).map(
    b"".join
)
BYTES = st.binary(max_size=60) | TEXT | BROKEN


def patcher(name: str, options: dict[str, Any]) -> Any:
    if name == "characters":
        return make_patcher("babylon", options, CHARACTERS)
    return make_patcher(name, options, ENTROPY if PATCHERS.get(name).needs_entropy else None)
