"""Statistics of shelves are their formulas, and two halves make the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roots.synthetic import cloud
from unmask.errors import Error
from unmask.roots.shelves.statistics import ShelfStatistics, measure, merge


def scatter(vectors):
    away = vectors.astype(np.float64) - vectors.mean(0)
    return away.T @ away


@st.composite
def worlds(draw):
    count, shelves, seed = draw(st.integers(2, 60)), draw(st.integers(1, 6)), draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    vectors = cloud(count, 5, seed) * draw(st.sampled_from([1e-3, 1.0, 100.0]))
    vectors[rng.random(count) < 0.1] = 0
    return vectors.astype(np.float32), rng.integers(0, shelves, count), cloud(shelves, 5, seed + 1), rng.random(count)


@settings(deadline=None, max_examples=60)
@given(worlds(), st.integers(0, 60))
def test_two_halves_make_the_whole(world, cut):
    vectors, labels, centroids, prominence = world
    whole = measure(vectors, labels, centroids, prominence, rank=5)
    parts = [measure(vectors[s], labels[s], centroids, prominence[s], rank=5) for s in (slice(cut), slice(cut, None))]
    for both in (merge(*parts), merge(*parts[::-1])):
        assert (both.count == whole.count).all()
        for exact in ("cosine", "norm"):
            assert (getattr(both, exact) == getattr(whole, exact)).all()
        for sum_ in ("total", "squares", "prominence"):
            np.testing.assert_allclose(getattr(both, sum_), getattr(whole, sum_), rtol=1e-9, atol=1e-12)
        for k in range(whole.shelves):  # rank 5 is the width: nothing is cut off
            a, b = (s.sketch[k].T @ s.sketch[k] for s in (both, whole))
            np.testing.assert_allclose(a, b, atol=1e-4 * max(1e-6, np.abs(b).max()))


@settings(deadline=None, max_examples=40)
@given(worlds())
def test_statistics_are_their_formulas(world):
    vectors, labels, centroids, prominence = world
    found = measure(vectors, labels, centroids, prominence, rank=3)
    for k in range(len(centroids)):
        own, weight = vectors[labels == k].astype(np.float64), prominence[labels == k]
        assert found.count[k] == len(own)
        if not len(own):
            assert found.norm[k].tolist() == found.cosine[k].tolist() == [np.inf, -np.inf]
            assert found.prominence_moments[k].tolist() == [0, 0, 0] and not found.mean[k].any()
            continue
        length = np.linalg.norm(own, axis=1)
        np.testing.assert_allclose(found.mean[k], own.mean(0), rtol=1e-5, atol=1e-6 * length.max())
        np.testing.assert_allclose(found.norm[k], [length.min(), length.max()], rtol=1e-12)
        assert found.trace[k] == pytest.approx(np.trace(scatter(own)), rel=1e-5, abs=1e-9 * (length**2).sum())
        np.testing.assert_allclose(found.prominence_moments[k], [weight.mean(), weight.std(), weight.max()], atol=1e-7)
        if (length > 0).all():
            cosine = own @ centroids[k] / length / np.linalg.norm(centroids[k])
            np.testing.assert_allclose(found.cosine[k], [cosine.min(), cosine.max()], atol=1e-6)


def test_a_sketch_holds_the_leading_directions_of_the_scatter():
    vectors = cloud(50, 8)
    values, axes = np.linalg.eigh(scatter(vectors))
    for rank in (0, 1, 3, 8):
        sketch = measure(vectors, np.zeros(50, np.int64), vectors[:1], rank=rank).sketch[0]
        best = (axes[:, ::-1][:, :rank] * values[::-1][:rank]) @ axes[:, ::-1][:, :rank].T
        np.testing.assert_allclose(sketch.T @ sketch, best, atol=1e-3)


def test_a_merged_sketch_never_exceeds_the_scatter_and_keeps_most_of_it():
    vectors, labels = cloud(200, 8), np.zeros(200, np.int64)
    parts = [measure(vectors[i : i + 20], labels[:20], vectors[:1], rank=3) for i in range(0, 200, 20)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merge(merged, part)
    rest = scatter(vectors) - merged.sketch[0].T.astype(np.float64) @ merged.sketch[0]
    assert np.linalg.eigvalsh(rest).min() > -1e-3
    direct = measure(vectors, labels, vectors[:1], rank=3)
    assert np.square(merged.sketch).sum() > 0.85 * np.square(direct.sketch).sum()
    assert merged.trace[0] == pytest.approx(direct.trace[0])


def test_the_prominence_of_a_vector_is_its_length_unless_it_is_given():
    vectors = cloud(10)
    found = measure(vectors, np.zeros(10, np.int64), vectors[:1])
    assert found.prominence_moments[0, 2] == pytest.approx(np.linalg.norm(vectors, axis=1).max())


def test_statistics_survive_a_file(tmp_path):
    from safetensors.numpy import load_file, save_file

    whole = measure(cloud(40), np.arange(40) % 3, cloud(4), rank=2)
    save_file(whole.to_arrays(), tmp_path / "s.safetensors")
    again = ShelfStatistics.from_arrays(load_file(tmp_path / "s.safetensors"))
    for name, array in whole.to_arrays().items():
        assert (again.to_arrays()[name] == array).all() and again.to_arrays()[name].dtype == array.dtype
    assert whole.nbytes == sum(array.nbytes for array in whole.to_arrays().values())
    with pytest.raises(Error, match="lack norm, prominence"):
        ShelfStatistics.from_arrays({k: v for k, v in whole.to_arrays().items() if k[0] not in "np"})


def test_what_does_not_fit_is_refused():
    vectors, labels, centroids = cloud(10), np.arange(10) % 2, cloud(2)
    with pytest.raises(Error, match="outside 0..1"):
        measure(vectors, labels + 1, centroids)
    with pytest.raises(Error, match="N labels"):
        measure(vectors, labels[:9], centroids)
    with pytest.raises(Error, match="rank from 0 to 8"):
        measure(vectors, labels, centroids, rank=9)
    with pytest.raises(Error, match="as many prominences"):
        measure(vectors, labels, centroids, np.ones(3))
    with pytest.raises(Error, match="same centroids"):
        merge(measure(vectors, labels, centroids), measure(vectors, labels, centroids + 1))
    with pytest.raises(Error, match="one rank"):
        merge(measure(vectors, labels, centroids, rank=1), measure(vectors, labels, centroids, rank=2))
