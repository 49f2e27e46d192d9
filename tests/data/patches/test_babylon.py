"""Babylon cuts where its equation says, by entropies that exist before the byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.patches.parts import BYTES, ENGLISH, ENTROPY
from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.patches import make_patcher
from unmask.data.patches.patcher import sizes
from unmask.data.utf8 import free
from unmask.errors import Error


@pytest.mark.parametrize("rule", ["threshold", "jump", "both"])
@pytest.mark.parametrize("longest", [None, 1, 5])
@given(data=BYTES, theta=st.floats(-1, 4))
@settings(max_examples=30, deadline=None)
def test_the_cuts_are_those_of_the_equation(rule: str, longest: int | None, data: bytes, theta: float) -> None:
    options = {"rule": rule, "theta": theta, "max_length": longest, **({"jump": 0.3} if rule == "both" else {})}
    h, allowed, expected, begun = ENTROPY.entropy(data), free(data), [], 0
    for t in range(len(data)):
        rise = h[t] - h[t - 1] if t else 0.0
        wanted = {"threshold": h[t] > theta, "jump": rise > theta, "both": h[t] > theta and rise > 0.3}[rule]
        over = t - begun - (longest or 1000)
        start = t == 0 or (bool(wanted or over >= 0) and bool(allowed[t])) or over >= 3
        begun = t if start else begun
        expected.append(start)
    assert make_patcher("babylon", options, ENTROPY).starts(data).tolist() == expected


def test_a_hard_byte_begins_a_patch_and_an_easy_one_does_not() -> None:
    entropy = NgramEntropy(ByteNgram(4).fit([f"item {n} of the list;".encode() for n in range(300)]))
    data = b"item 77 of the list;"
    starts = make_patcher("babylon", {"theta": 1.5, "max_length": None}, entropy).starts(data)
    assert starts[5] and not starts[9:].any(), "digits are hard, ' of the list;' is not"


def test_patches_grow_on_text_that_repeats() -> None:
    entropy = NgramEntropy(ByteNgram(4).fit([b"TTTTTTTTTTTTTTTT" * 9, ENGLISH.encode()]))
    part = make_patcher("babylon", {"theta": 1.0, "max_length": None}, entropy)
    assert sizes(part.starts(b"T" * 500)).max() > 400


@pytest.mark.parametrize("reset", [1, 5, 40])
def test_a_reset_hides_what_was_before(reset: int) -> None:
    data = ENGLISH.encode() * 2
    part = make_patcher("babylon", {"theta": 1.0, "reset": reset}, ENTROPY)
    scores = part.scores(data)
    for block in range(reset, len(data), reset):
        hidden = b"\xf0" * block + data[block:]
        np.testing.assert_array_equal(part.scores(hidden)[block:], scores[block:])
    if reset > 1:
        assert (part.scores(b"\x00" + data[1:])[1:reset] != scores[1:reset]).any(), "it forgets too early"


def test_a_newline_stays_in_sight_when_the_line_before_it_is_forgotten() -> None:
    part = make_patcher("babylon", {"theta": 1.0, "reset": "newline"}, ENTROPY)
    seen = part.scores(b"The fox.\nThe dog")[9:]
    np.testing.assert_array_equal(part.scores(b"\x00\x01ab \t!.\nThe dog")[9:], seen)
    assert (part.scores(b"The fox. The dog")[9:] != seen).any()


def test_without_theta_it_asks_to_be_calibrated() -> None:
    part = make_patcher("babylon", {}, ENTROPY)
    for ask in (lambda: part.starts(b"a"), part.stream):
        with pytest.raises(Error, match="no theta. Calibrate"):
            ask()


@given(data=BYTES, theta=st.floats(-1, 4))
@settings(max_examples=60, deadline=None)
def test_unit_grapheme_splits_no_letter_of_devanagari_and_takes_no_other_cut_away(data: bytes, theta: float) -> None:
    plain, kept = (
        make_patcher("babylon", {"theta": theta, "max_length": None, "unit": unit}, ENTROPY).starts(data)
        for unit in ("character", "grapheme")
    )
    assert not (kept & ~plain).any()
    for place in np.flatnonzero(kept[1:]) + 1:
        text = data[:place].decode("utf-8", "replace").rstrip("\u200c\u200d")
        assert not (text and "\u0900" <= text[-1] <= "\u097f" and text[-1].isalpha()), "a sign may follow here"
    gone = np.flatnonzero(plain & ~kept)
    assert all(0xE0 in data[max(0, place - 40) : place] for place in gone), "only what follows Devanagari is taken away"
