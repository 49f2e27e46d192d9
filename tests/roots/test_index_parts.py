"""The parts that an index is made of: pieces lose nothing, files are safetensors, shelves hold what was put there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from unmask.errors import Error
from unmask.roots.building.arrivals import Spill
from unmask.roots.building.pieces import check_length, pieces
from unmask.roots.search.budget import Budget, upto
from unmask.roots.search.near import Own, own
from unmask.roots.search.scan import Best, scan
from unmask.roots.shelves import tensors
from unmask.roots.shelves.segment import Part, digest, group, open_segment
from unmask.roots.shelves.vectors import KINDS, check_storage, keep


@settings(deadline=None)
@given(st.text(max_size=400) | st.text("ab .\n\u0964\u0928", max_size=600), st.sampled_from([0, 64, 65, 100]))
def test_pieces_join_to_the_document_fit_and_never_split_a_character(document, most):
    data = document.encode()
    found = list(pieces(data, most))
    assert b"".join(found) == data and all(found)
    assert not most or all(len(piece) <= most for piece in found)
    assert "".join(piece.decode() for piece in found) == document


def test_pieces_end_where_a_reader_would_pause():
    text = b"First sentence here. " * 3 + b"\n\n" + b"second paragraph, and more " * 3
    assert next(pieces(text, 100)).endswith(b"\n\n")
    assert [piece[-2:] for piece in pieces(b"A word or two more. " * 10, 64)][:-1] == [b". "] * 3
    with pytest.raises(Error, match="passage is 10; give pieces at least 64 bytes, or 0"):
        check_length(10)


def test_a_mapped_file_is_what_safetensors_reads(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.uint8), "b": np.random.default_rng(0).normal(size=(3, 5)), "none": np.zeros(0)}
    tensors.write(tmp_path / "x.safetensors", arrays)
    theirs, ours = load_file(tmp_path / "x.safetensors"), tensors.read(tmp_path / "x.safetensors", "")
    for name, array in arrays.items():
        assert np.array_equal(theirs[name], array) and np.array_equal(ours[name], array)
        assert ours[name].dtype == array.dtype


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"{}" + b[2:], lambda b: b""])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path, damage):
    path = tmp_path / "x.safetensors"
    tensors.write(path, {"a": np.arange(9)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Error, match="cannot be read .* Build it again."):
        tensors.read(path, "Build it again.")


@pytest.mark.parametrize(("storage", "far"), [("float32", 0.0), ("float16", 5e-4), ("int8", 8e-3)])
def test_kept_vectors_are_near_the_given_ones_and_products_are_those_of_the_kept(storage, far):
    rng = np.random.default_rng(0)
    given = rng.normal(size=(2500, 8)).astype(np.float32)
    given /= np.linalg.norm(given, axis=1, keepdims=True)
    given[7] = 0
    kept = keep(given, storage)
    assert kept.values.dtype == KINDS[storage] and np.abs(kept.floats() - given).max() <= far
    queries = rng.normal(size=(3, 8)).astype(np.float32)
    assert np.allclose(kept.dot(queries, 5, 2400), queries @ kept.floats(slice(5, 2400)).T, atol=1e-5)
    assert kept.row_bytes == {"float32": 32, "float16": 16, "int8": 12}[storage]


def test_an_unknown_storage_is_refused():
    with pytest.raises(Error, match="storage is 'int4'; choose int8, float16, float32"):
        check_storage("int4")


TEXTS = st.lists(
    st.tuples(st.text(min_size=1, max_size=8).map(str.encode), st.integers(-1, 3)), min_size=1, max_size=30
)


@settings(deadline=None, max_examples=40)
@given(parts=st.lists(TEXTS, min_size=1, max_size=3), storage=st.sampled_from(["int8", "float32"]))
def test_texts_lie_on_their_shelves_in_the_order_they_came(tmp_path_factory, parts, storage):
    folder = tmp_path_factory.mktemp("group")
    rng = np.random.default_rng(0)
    given, wanted, shift = [], [[] for _ in range(4)], 0
    for number, part in enumerate(parts):
        vectors = keep(rng.normal(size=(len(part), 3)).astype(np.float32), storage)
        with Spill(folder / f"part{number}", 3, storage) as spill:
            middle = len(part) // 2
            for rows in (slice(0, middle), slice(middle, None)):
                texts = [text for text, _ in part[rows]]
                documents = list(range(len(part)))[rows]
                scales = vectors.scales[rows]
                spill.add(type(vectors)(vectors.values[rows], scales), scales, documents, documents, texts)
            arrived = spill.done()
            given.append(Part(arrived, np.array([shelf for _, shelf in part]), arrived.document + shift))
        for row, (text, shelf) in enumerate(part):
            if shelf >= 0:  # else it is left out
                wanted[shelf].append((text, vectors.floats(slice(row, row + 1)).tolist(), row + shift, digest(text)))
        shift += len(part)
    if not any(map(len, wanted)):
        return
    group(given, 4, storage, folder / "whole")
    whole = open_segment(folder / "whole", "")
    for shelf in range(4):
        rows = range(*whole.shelf(shelf).indices(len(whole)))
        found = [
            (
                whole.text(r),
                whole.vectors.floats(slice(r, r + 1)).tolist(),
                int(whole.document[r]),
                int(whole.digest[r]),
            )
            for r in rows
        ]
        assert found == wanted[shelf]
    assert whole.labels().tolist() == sorted(shelf for part in parts for _, shelf in part if shelf >= 0)


@pytest.fixture
def two(tmp_path):
    """Two segments of 60 texts on 5 shelves, and their vectors in the order of the index."""
    rng = np.random.default_rng(1)
    segments = []
    for number in range(2):
        vectors = rng.normal(size=(30, 6)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with Spill(tmp_path / f"s{number}", 6, "float32") as spill:
            texts = [f"text {number} {row // 2}".encode() for row in range(30)]
            spill.add(keep(vectors, "float32"), vectors[:, 0], [row // 3 for row in range(30)], [0] * 30, texts)
            arrived = spill.done()
            group(
                [Part(arrived, rng.integers(0, 5, 30), arrived.document)], 5, "float32", tmp_path / f"segment-{number}"
            )
        segments.append(open_segment(tmp_path / f"segment-{number}", ""))
    return segments, np.concatenate([s.vectors.floats() for s in segments])


def test_reading_all_shelves_finds_the_true_best_and_reading_some_the_best_of_these(two):
    segments, vectors = two
    queries = np.random.default_rng(2).normal(size=(7, 6)).astype(np.float32)
    labels = np.concatenate([s.labels() for s in segments])
    for shelves in ([0, 1, 2, 3, 4], [1, 3], [4]):
        chosen = np.zeros((7, 5), np.int64)
        chosen[:, shelves] = np.bincount(labels, minlength=5)[shelves]
        best = Best.none(7, 4)
        scan(segments, [0, 10], queries, chosen, best)
        scores = np.where(np.isin(labels, shelves), queries @ vectors.T, -np.inf)
        order = np.argsort(-scores, axis=1)[:, :4]
        assert np.array_equal(best.members, order)
        assert np.allclose(best.scores, np.take_along_axis(scores, order, 1), atol=1e-6)
    alone = Best.none(1, 4)
    scan(segments, [0, 10], queries[2:3], chosen[2:3], alone)
    assert np.array_equal(alone.members[0], best.members[2])


def test_a_query_does_not_find_its_own_document_nor_its_copies(two):
    segments, vectors = two
    row = 31
    documents = np.concatenate([segments[0].document, segments[1].document + 10])
    digests = np.concatenate([s.digest for s in segments])
    every = np.full((2, 5), 60)
    best = Best.none(2, 60)
    mine = own(segments, [0, 10], segments[1].text(1), closer=0.9)
    assert mine.documents == set(documents[digests == digests[row]].tolist())
    query = vectors[[row, row]]
    scan(segments, [0, 10], query, every, best, [mine, Own()])
    found = best.members[0][best.members[0] >= 0]
    left = ~np.isin(documents, list(mine.documents)) & (vectors @ vectors[row] <= 0.9)
    assert set(found) == set(np.flatnonzero(left)) and row in best.members[1]


def test_a_shelf_is_read_as_far_as_asked_first_segment_first(two):
    segments, vectors = two
    labels = np.concatenate([s.labels() for s in segments])
    queries = np.random.default_rng(3).normal(size=(9, 6)).astype(np.float32)
    wanted = np.arange(9)[:, None] * np.array([0, 1, 2, 1, 0])
    best = Best.none(9, 60)
    scan(segments, [0, 10], queries, wanted, best)
    for row in range(9):
        read = np.concatenate([np.flatnonzero(labels == shelf)[: wanted[row, shelf]] for shelf in range(5)])
        assert set(best.members[row][best.members[row] >= 0]) == set(read)
    assert np.allclose(best.scores[8, :3], np.sort(queries[8] @ vectors[read].T)[::-1][:3], atol=1e-6)


SCORES = st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=3)


@given(SCORES, st.lists(st.integers(0, 9), min_size=4, max_size=4), st.integers(0, 40), st.integers(0, 40))
def test_a_budget_is_kept_best_first_and_a_larger_one_reads_what_a_smaller_one_does(scores, sizes, a, b):
    scores, sizes = np.array(scores, float), np.array(sizes)
    small, large = upto(scores, sizes, min(a, b)), upto(scores, sizes, max(a, b))
    assert (large >= small).all() and (small <= sizes).all()
    for row, read in enumerate(small):
        assert read.sum() == min(a, b, sizes.sum())
        cut = (read < sizes) & (sizes > 0)
        assert scores[row, read > 0].min(initial=np.inf) >= scores[row, cut].max(initial=-np.inf)
        assert np.count_nonzero(cut & (read > 0)) <= 1


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"share": 0.1, "exact": True}, "give one of open, bytes, recall and exact"),
        ({"share": 0.0}, "open is 0.0"),
        ({"share": 1.5}, "open is 1.5"),
        ({"bytes": 0}, "bytes is 0"),
        ({"recall": 1.0}, "recall is 1.0; give a share above 0 and below 1, or ask for exact."),
    ],
)
def test_an_impossible_budget_is_one_line(given, line):
    with pytest.raises(Error, match=line):
        Budget(**given).check()
