"""Reading shelves block by block finds what sorting all scores would: ties, small blocks, several rounds and all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.roots.search import scan as scanning
from unmask.roots.search.scan import Best, scan
from unmask.roots.shelves.segment import Segment
from unmask.roots.shelves.vectors import keep

WIDTH, SHELVES = 3, 4


def segment(vectors: np.ndarray, labels: np.ndarray) -> Segment:
    """Return vectors on shelves; ``labels`` rise."""
    starts = np.concatenate([[0], np.bincount(labels, minlength=SHELVES).cumsum()])
    none = np.zeros(len(vectors), np.int64)
    return Segment(keep(vectors, "float32"), none, none, none, none, np.zeros(len(vectors) + 1, int), starts, b"")


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 25), min_size=1, max_size=3),
    queries=st.integers(1, 7),
    k=st.integers(1, 12),
    block=st.sampled_from([1, 40, 1 << 18]),
    kept=st.sampled_from([0, 20, 1 << 20]),
)
def test_the_best_of_what_is_read_are_found_and_of_equal_ones_the_first(seed, sizes, queries, k, block, kept):
    rng = np.random.default_rng(seed)
    # Whole numbers: products are exact, and many scores are equal.
    parts = [(rng.integers(-1, 2, (n, WIDTH)).astype(np.float32), np.sort(rng.integers(0, SHELVES, n))) for n in sizes]
    segments, asked = [segment(*part) for part in parts], rng.integers(-2, 3, (queries, WIDTH)).astype(np.float32)
    vectors, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    upto = rng.integers(0, 1 + np.bincount(labels, minlength=SHELVES), (queries, SHELVES))
    first = rng.random((queries, SHELVES)) < 0.5
    best = Best.none(queries, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "_BLOCK", block)
        patch.setattr(scanning, "_KEPT", kept)
        for chosen in (first, ~first):  # in two rounds: the second must beat what the first found
            scan(segments, [0] * len(segments), asked, np.where(chosen, upto, 0), best)
    for row in range(queries):
        shelves = [np.flatnonzero(labels == shelf)[: upto[row, shelf]] for shelf in range(SHELVES)]
        read = np.sort(np.concatenate(shelves))
        scores = vectors[read] @ asked[row]
        order = np.argsort(-scores, kind="stable")[:k]
        assert best.members[row].tolist() == [*read[order].tolist(), *[-1] * (k - len(order))]
        assert best.scores[row, : len(order)].tolist() == scores[order].tolist()
        assert np.isneginf(best.scores[row, len(order) :]).all()
