"""Calibration agrees with closed forms and with scikit-learn; overconfidence shows; a constant fools nobody."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from unmask.evaluation.calibration import auroc, calibration, equal_mass_bins, expected_calibration_error
from unmask.evaluation.predictions import Predictions


def predictions(distributions: np.ndarray, clean: np.ndarray, documents: int = 50, levels: int = 1) -> Predictions:
    """Turn distributions [n, V] and clean tokens [n] into predictions, dealt to documents and levels in turn."""
    n = len(clean)
    p_clean = distributions[np.arange(n), clean]
    return Predictions(
        levels=tuple(f"level {i}" for i in range(levels)),
        states=np.ones(levels, np.int64),
        documents=documents,
        level=np.arange(n) % levels,
        document=np.arange(n) % documents,
        correct=distributions.argmax(1) == clean,
        nats=-np.log(p_clean),
        confidence=distributions.max(1),
        squares=(distributions**2).sum(1),
        quartics=(distributions**4).sum(1),
        unigram_correct=np.zeros(n, bool),
        unigram_nats=np.zeros(n),
        copied=np.zeros(n, bool),
    )


def world(n: int = 20000, temperature: float = 1.0, seed: int = 0) -> Predictions:
    """Tokens drawn from known distributions, and a model that states them at a temperature."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet([0.4] * 6, n)
    clean = (truth.cumsum(1) < rng.random((n, 1))).sum(1).clip(max=5)
    told = truth ** (1 / temperature)
    return predictions(told / told.sum(1, keepdims=True), clean)


def test_a_calibrated_model_scores_its_floor_and_its_overconfident_twin_does_not() -> None:
    found = calibration(world()).overall
    assert found.scores.ece == pytest.approx(found.ece_floor, rel=0.6) and found.ece_floor < 0.012
    twin = found.controls["overconfident"]
    assert twin.ece > 10 * found.scores.ece and twin.brier > found.scores.brier
    assert twin.brier_all > found.scores.brier_all, "a proper score is best at the truth"


def test_the_twin_is_the_network_at_half_the_temperature() -> None:
    sharp, twin = calibration(world(temperature=0.5)).overall.scores, calibration(world()).overall.controls
    assert twin["overconfident"].ece == pytest.approx(sharp.ece, abs=1e-9)
    assert twin["overconfident"].brier_all == pytest.approx(sharp.brier_all, abs=1e-9)
    assert twin["overconfident"].auroc == pytest.approx(sharp.auroc, abs=1e-9)


def test_a_constant_confidence_is_calibrated_and_worthless() -> None:
    found = calibration(world()).overall
    constant = found.controls["constant"]
    assert constant.ece == pytest.approx(0, abs=1e-9) and constant.auroc == 0.5
    assert constant.brier == pytest.approx(found.accuracy * (1 - found.accuracy))
    assert found.scores.auroc > 0.65 and found.scores.brier < constant.brier


def test_closed_forms() -> None:
    """Two tokens: confidence 0.8 right 3 of 4 times, confidence 0.6 right 1 of 4 times."""
    told = np.array([[0.8, 0.2]] * 4 + [[0.6, 0.4]] * 4)
    found = calibration(predictions(told, np.array([0, 0, 0, 1, 0, 1, 1, 1])), bins=2).overall
    assert found.scores.ece == pytest.approx((abs(0.8 - 0.75) + abs(0.6 - 0.25)) / 2)
    brier = (3 * 0.2**2 + 0.8**2 + 0.4**2 + 3 * 0.6**2) / 8
    assert found.scores.brier == pytest.approx(brier)
    assert found.scores.brier_all == pytest.approx(2 * brier), "with two tokens both squares are equal"
    assert found.scores.auroc == pytest.approx((3 * 3 + 0.5 * (3 * 1 + 1 * 3)) / 16)
    assert [(round(p.confidence, 6), p.accuracy, p.positions) for p in found.curve] == [(0.6, 0.25, 4), (0.8, 0.75, 4)]
    floor = (math.sqrt(2 / math.pi * 4 * 0.16) + math.sqrt(2 / math.pi * 4 * 0.24)) / 8
    assert found.ece_floor == pytest.approx(floor)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
def test_auroc_is_scikit_learns(pairs: list[tuple[int, bool]]) -> None:
    confidence, correct = np.array([c / 6 for c, _ in pairs]), np.array([y for _, y in pairs])
    ours = auroc(confidence, correct)
    if len(set(correct.tolist())) < 2:
        assert ours is None
    else:
        assert ours == pytest.approx(roc_auc_score(correct, confidence))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=200), st.integers(1, 15))
def test_bins_are_even_and_never_part_equal_confidences(values: list[int], bins: int) -> None:
    confidence = np.array(values) / 20
    number = equal_mass_bins(confidence, bins)
    assert number.min() >= 0 and number.max() < bins
    assert all(len(set(number[confidence == value].tolist())) == 1 for value in set(confidence.tolist()))
    order = np.argsort(confidence)
    assert (np.diff(number[order]) >= 0).all(), "bins follow confidence"
    distinct = np.arange(len(values)) / len(values)
    counts = np.bincount(equal_mass_bins(distinct, bins), minlength=bins)
    assert counts.max() - counts.min() <= 1


def test_levels_are_measured_apart() -> None:
    good, bad = world(2000), world(2000, temperature=0.3, seed=1)
    arrays = {
        name: np.stack([getattr(good, name), getattr(bad, name)], 1).ravel()
        for name in ("correct", "nats", "confidence", "squares", "quartics")
    }
    both = predictions(np.full((4000, 2), 0.5), np.zeros(4000, int), levels=2)
    mixed = Predictions(**{**vars(both), **arrays})
    one, two = calibration(mixed).levels
    assert one.positions == two.positions == 2000
    assert one.scores.ece == pytest.approx(calibration(good).overall.scores.ece)
    assert two.scores.ece == pytest.approx(calibration(bad).overall.scores.ece)
    assert two.scores.ece > 3 * one.scores.ece
    empty = calibration(Predictions(**{**vars(mixed), "levels": ("a", "b", "c")})).levels[2]
    assert empty.positions == 0 and empty.scores is None and empty.curve == []


def test_the_interval_of_ece_is_over_documents() -> None:
    """Documents that are wholly right or wholly wrong at confidence 1/2: the documents are what is uncertain."""
    told = np.full((2000, 2), 0.5) + np.array([1e-6, -1e-6])
    document = np.arange(2000) // 50
    found = predictions(told, document % 2, documents=40)
    found = Predictions(**{**vars(found), "document": document})
    level = calibration(found).overall
    low, high = level.ece_interval
    assert level.scores.ece == pytest.approx(0, abs=1e-4) and level.ece_floor < 0.01
    assert 0.1 < high < 0.25  # |mean - 1/2| over 40 documents: 97.5 % at about 0.5 / sqrt(40) * 2.24 = 0.18
    assert low >= 0
    single = Predictions(**{**vars(found), "document": np.zeros(2000, np.int64), "documents": 1})
    assert calibration(single).overall.ece_interval is None


def test_ece_of_a_known_gap() -> None:
    assert expected_calibration_error(np.full(10, 0.9), np.array([1] * 5 + [0] * 5)) == pytest.approx(0.4)
    assert isinstance(calibration(world(500)).to_dict()["levels"][0]["curve"][0]["accuracy"], float)
