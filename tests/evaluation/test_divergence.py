"""The divergence: symmetric, 1 for the same sample, falling with distance; controls and error mean what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.data.tokenizers import Tokenizer
from unmask.diffusion.causal import Causal, CausalOptions
from unmask.errors import Error
from unmask.evaluation.divergence import text_divergence
from unmask.evaluation.features import NetworkFeatures
from unmask.evaluation.frontier import divergence, frontier_area, kmeans, shares
from unmask.evaluation.text import unigram_words
from unmask.models.transformer import Transformer


def cloud(n: int, at: float = 0.0, width: int = 8, seed: int = 0) -> torch.Tensor:
    points = torch.randn(n, width, generator=torch.Generator().manual_seed(seed))
    points[:, 0] += at
    return points


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 40), st.integers(4, 40), st.floats(0, 5), st.integers(0, 3))
def test_it_is_symmetric_and_between_0_and_1(n: int, m: int, at: float, seed: int) -> None:
    p, q = cloud(n, seed=1), cloud(m, at, seed=2)
    value = divergence(p, q, seed=seed)
    assert 0 < value <= 1 + 1e-12
    assert value == pytest.approx(divergence(q, p, seed=seed), abs=1e-6), "sets nearly alike leave a corner of rounding"


def test_the_same_sample_scores_1_in_any_order() -> None:
    p = cloud(50)
    assert divergence(p, p) == pytest.approx(1)
    assert divergence(p, p[torch.randperm(50, generator=torch.Generator().manual_seed(3))]) == pytest.approx(1)
    assert divergence(torch.ones(20, 3), torch.ones(30, 3)) == pytest.approx(1), "one point only"


def test_it_falls_with_separation() -> None:
    values = [np.mean([divergence(cloud(100, seed=2 * s), cloud(100, at, seed=2 * s + 1)) for s in range(4)])
              for at in (0.0, 1.0, 2.0, 4.0, 8.0)]  # fmt: skip
    assert all(a > b + 0.02 for a, b in zip(values, values[1:3], strict=False)), values
    assert values == sorted(values, reverse=True) and values[0] > 0.85 and values[-1] < 0.2


def test_it_falls_when_a_mode_is_missing() -> None:
    """A generator that only writes one of two kinds of text."""
    both = torch.cat([cloud(60, 6, seed=0), cloud(60, -6, seed=1)])
    assert divergence(both, torch.cat([cloud(60, 6, seed=2), cloud(60, -6, seed=3)])) > 0.85
    assert divergence(both, cloud(120, 6, seed=4)) < 0.7


def test_the_area_of_a_known_frontier() -> None:
    """Integrated finely by another route: for every x the largest y on the frontier."""
    p, q = np.array([0.7, 0.3]), np.array([0.2, 0.8])
    w = np.linspace(1e-9, 1 - 1e-9, 200001)[:, None]
    r = w * p + (1 - w) * q
    x, y = np.exp(-5 * (q * np.log(q / r)).sum(1)), np.exp(-5 * (p * np.log(p / r)).sum(1))
    exact = float(np.sum((y[1:] + y[:-1]) / 2 * np.abs(np.diff(x)))) + x.min()  # left of the curve y is at most 1
    assert frontier_area(p, q) == pytest.approx(exact, abs=0.01)
    assert frontier_area(p, p) == pytest.approx(1)
    one, other = shares(np.array([0, 0, 0, 1]), np.array([2, 2, 2, 2]))
    assert one.tolist() == [3.5 / 5.5, 1.5 / 5.5, 0.5 / 5.5] and other[2] == 4.5 / 5.5, "half a count everywhere"


def test_kmeans_finds_separate_clusters_and_survives_few_points() -> None:
    points = torch.cat([cloud(20, at, width=2, seed=i) * 0.1 for i, at in enumerate((0, 200, 400))])
    labels = kmeans(points, 3)
    assert [len(set(labels[i : i + 20].tolist())) for i in (0, 20, 40)] == [1, 1, 1] and len(set(labels.tolist())) == 3
    assert kmeans(torch.ones(5, 2), 3).tolist() == [0] * 5
    assert len(set(kmeans(torch.eye(3), 9).tolist())) == 3
    with pytest.raises(Error, match="at least 2"):
        divergence(torch.ones(1, 2), torch.ones(4, 2))


class Grams:
    """Features that see order: hashed pairs of neighbouring words; or that do not: hashed words."""

    def __init__(self, order: int, width: int = 96) -> None:
        self.order, self.width, self.name = order, width, f"{order}-grams"

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        out = torch.zeros(len(texts), self.width)
        for row, text in enumerate(texts):
            split = text.split()
            for gram in zip(*(split[i:] for i in range(self.order)), strict=False):
                out[row, sum(ord(c) * 31**i for i, c in enumerate(" ".join(gram))) % self.width] += 1
        return out


def story(kind: int, seed: int) -> str:
    """A text of one of three subjects, in a fixed word order."""
    names, verbs, places = (
        (["cat", "dog", "hen"], ["ran", "sat"], ["barn", "yard"]),
        (["ship", "boat", "raft"], ["sank", "sailed"], ["sea", "bay"]),
        (["king", "queen", "duke"], ["ruled", "fell"], ["land", "city"]),
    )[kind]
    rng = np.random.default_rng(seed)
    return " ".join(f"the {rng.choice(names)} {rng.choice(verbs)} near a {rng.choice(places)} ." for _ in range(5))


REAL = [story(i % 3, i) for i in range(120)]


def test_controls_bracket_what_is_measured() -> None:
    fresh = [story(i % 3, 1000 + i) for i in range(48)]
    collapsed = [story(0, 2000 + i) for i in range(48)]
    good, bad = (text_divergence(texts, REAL, Grams(2)) for texts in (fresh, collapsed))
    assert good.texts == bad.texts == 48 and good.features == "2-grams"
    real = good.controls["real"]
    assert good.area.value == pytest.approx(real.value, abs=3 * max(real.error, good.area.error))
    assert bad.area.value < real.value - 4 * bad.area.error, "one subject of three: mode collapse shows"
    for name in ("shuffled words", "unigram"):
        assert good.controls[name].value < real.value - 2 * real.error, name


def test_features_blind_to_order_are_told_by_their_control() -> None:
    found = text_divergence(REAL[:48], [story(i % 3, 500 + i) for i in range(120)], Grams(1))
    shuffled, real = found.controls["shuffled words"], found.controls["real"]
    assert shuffled.value == pytest.approx(real.value, abs=2 * real.error)


def test_the_same_number_of_texts_stands_on_every_side_and_few_are_refused() -> None:
    assert text_divergence(REAL[:48], REAL[48:80], Grams(1)).texts == 16
    with pytest.raises(Error, match="8 generated texts and 16 real"):
        text_divergence(REAL[:7], REAL, Grams(1))
    with pytest.raises(Error, match="8 generated texts and 16 real"):
        text_divergence(REAL, REAL[:15], Grams(1))


def test_the_stated_error_is_that_of_fresh_samples() -> None:
    values, errors = [], []
    for world in range(16):
        rows = [story(i % 2, 10_000 * world + i) for i in range(24)]
        real = [story(i % 3, 10_000 * world + 500 + i) for i in range(48)]
        found = text_divergence(rows, real, Grams(2, 24), splits=2, seed=world)
        values.append(found.area.value)
        errors.append(found.area.error)
    assert 0.5 < np.mean(errors) / np.std(values) < 2.5, (np.mean(errors), np.std(values))


def test_a_networks_features_do_not_depend_on_the_batch_and_see_order(
    tiny: Transformer, byte_tokenizer: Tokenizer, documents: list[str]
) -> None:
    process = Causal(CausalOptions(), byte_tokenizer.vocabulary)
    one, all_ = (NetworkFeatures(tiny, process, byte_tokenizer, batch_size=size)(documents) for size in (1, 64))
    assert one.shape == (len(documents), 16)
    torch.testing.assert_close(one, all_, rtol=1e-4, atol=1e-5)
    features = NetworkFeatures(tiny, process, byte_tokenizer)
    assert not torch.allclose(features(["ab cd"]), features(["cd ab"]), atol=1e-4)
    tiny.train()
    features(["a"])
    assert tiny.training, "left as it was found"


def test_unigram_words_keep_frequencies_and_lengths() -> None:
    texts = ["a a a b"] * 200
    drawn = unigram_words(texts, seed=1)
    assert [len(text.split()) for text in drawn] == [4] * 200
    share = " ".join(drawn).split().count("a") / 800
    assert share == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 800))
    assert unigram_words(["", "x"]) == ["", "x"]
