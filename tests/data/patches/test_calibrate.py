"""A theta is found for the mean patch size that was asked, or the reachable sizes are named."""

from __future__ import annotations

import random

import numpy as np
import pytest

from data.patches.parts import HINDI
from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.patches import make_patcher
from unmask.data.patches.calibrate import calibrate
from unmask.data.patches.patcher import mean_size
from unmask.errors import Error

WORDS = "the cat sat on a mat and saw one small bird sing in the old tree by the river with every other animal".split()


def texts(seed: int, count: int = 40) -> list[bytes]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=80)).encode() for _ in range(count)]


ENTROPY = NgramEntropy(ByteNgram(4).fit(texts(0)))


@pytest.mark.parametrize("rule", ["threshold", "jump", "both"])
@pytest.mark.parametrize("size", [3.0, 4.5, 6.0])
def test_the_mean_patch_size_is_the_one_asked_for(rule: str, size: float) -> None:
    part = calibrate(make_patcher("babylon", {"rule": rule}, ENTROPY), texts(1), size)
    assert part.calibration.found == pytest.approx(size, rel=0.1)
    assert part.calibration.found == mean_size(part, texts(1))
    assert part.calibration.wanted == size and part.calibration.bytes == sum(map(len, texts(1)))
    assert mean_size(part, texts(2)) == pytest.approx(size, rel=0.12), "it does not carry over to new text"


@pytest.mark.parametrize("longest", [4, None])
def test_no_other_theta_comes_nearer(longest: int | None) -> None:
    hindi = [(HINDI * 3).encode(), HINDI.encode() * 2]
    entropy = NgramEntropy(ByteNgram(3).fit(hindi))
    part = make_patcher("babylon", {"max_length": longest}, entropy)
    found = calibrate(part, hindi, 4.9)
    for theta in np.unique(np.concatenate([part.scores(text) for text in hindi])):
        rival = make_patcher("babylon", {"max_length": longest, "theta": float(theta)}, entropy)
        assert abs(found.calibration.found - 4.9) <= abs(mean_size(rival, hindi) - 4.9) + 1e-12


@pytest.mark.parametrize("size", [3.3, 4.4, 5.2])
def test_no_other_theta_comes_nearer_on_a_longer_text(size: float) -> None:
    (text,) = texts(3, 1)
    text *= 3
    part = make_patcher("babylon", {}, ENTROPY)
    found = calibrate(part, [text], size).calibration.found
    levels = np.unique(part.scores(text))
    rivals = (make_patcher("babylon", {"theta": float(theta)}, ENTROPY) for theta in levels)
    assert abs(found - size) <= min(abs(mean_size(rival, [text]) - size) for rival in rivals) + 1e-12


def test_rounding_does_not_move_a_cut() -> None:
    part = calibrate(make_patcher("babylon", {}, ENTROPY), texts(1), 4.0)
    scores = np.concatenate([part.scores(text) for text in texts(1)])
    assert np.abs(scores - part.options.theta).min() > 1e-9


def test_sizes_out_of_reach_are_refused_with_those_in_reach() -> None:
    part = make_patcher("babylon", {"max_length": 6}, ENTROPY)
    for size in (0.5, 6.5, float("nan")):
        with pytest.raises(Error, match=r"cannot be reached here: .* gives 1\.00 to (5\.9\d|6\.00) bytes"):
            calibrate(part, texts(1), size)
    with pytest.raises(Error, match="no bytes to calibrate"):
        calibrate(part, [b""], 4)
    with pytest.raises(Error, match="Lower jump"):
        calibrate(make_patcher("babylon", {"rule": "both", "jump": 99.0}, ENTROPY), texts(1), 4)
