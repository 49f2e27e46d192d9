"""An index holds its corpus, adds up, is whole or not there, and says what it costs."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roots.small_corpus import lines, write
from unmask.api.index import add_texts, build_index, merge_indexes
from unmask.api.index_search import grep_index, index_stats, search_index
from unmask.data.readers import read_documents
from unmask.errors import Error
from unmask.roots.index import open_index
from unmask.roots.manifest import read_manifest
from unmask.roots.search.bounds import upper_bounds
from unmask.roots.search.budget import Budget
from unmask.roots.search.near import Own
from unmask.roots.search.search import search
from unmask.roots.shelves import grams, shelf_bytes
from unmask.roots.shelves.segment import bare, digest
from unmask.roots.shelves.statistics import measure

TINY = {"shelves": 3, "embedder": "wordllama-64", "passage": 0}


def texts_of(index):
    return [part.text(row) for part in index.segments for row in range(len(part))]


def joined(index):
    return np.concatenate(list(index.vectors())), np.concatenate([part.labels() for part in index.segments])


def same_statistics(a, b):
    """Compare what adds up exactly: counts, ranges, bytes, bitmaps, and sums up to rounding."""
    ours, theirs = a.exact(), b.exact()
    for name in ("count", "cosine", "norm", "centroids"):
        assert np.array_equal(getattr(ours.statistics, name), getattr(theirs.statistics, name)), name
    for name in ("total", "squares", "prominence"):
        assert np.allclose(getattr(ours.statistics, name), getattr(theirs.statistics, name), atol=1e-9), name
    for name, array in ours.held.to_arrays().items():
        assert np.array_equal(array, theirs.held.to_arrays()[name]), name
    assert np.array_equal(a.signs.bitmaps, b.signs.bitmaps)


def snapshot(folder):
    return {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob("*") if p.is_file()}


def test_an_index_holds_every_text_once_and_the_pieces_of_a_document_join_to_it(built, corpus):
    index = open_index(built)
    documents = [text.encode() for text in read_documents(corpus)]
    pieces: dict[int, dict[int, bytes]] = {}
    for member, text in enumerate(texts_of(index)):
        number, row = index.place(member)
        pieces.setdefault(index.document(member), {})[int(index.segments[number].piece[row])] = text
        assert len(text) <= 512 and index.text(member).encode() == text
    assert sorted(pieces) == list(range(240)) and len(pieces[239]) > 3 and sum(map(len, pieces.values())) == len(index)
    for number, held in pieces.items():
        assert sorted(held) == list(range(len(held)))
        assert b"".join(held[place] for place in range(len(held))) == documents[number]
    assert index.manifest.bytes == sum(map(len, documents)) and index.sizes.sum() == len(index)


def test_the_core_says_what_is_on_its_shelves(built):
    index = open_index(built)
    vectors, labels = joined(index)
    exact = measure(
        vectors, labels, index.core.statistics.centroids, np.concatenate([s.prominence for s in index.segments])
    )
    ours = index.core.statistics
    assert np.array_equal(ours.count, exact.count) and np.allclose(ours.mean, exact.mean, atol=2e-4)
    assert np.allclose(ours.trace, exact.trace, rtol=1e-5) and np.allclose(
        ours.prominence_moments, exact.prominence_moments, rtol=1e-5
    )
    assert (ours.cosine[:, 0] <= exact.cosine[:, 0]).all() and (ours.cosine[:, 1] >= exact.cosine[:, 1]).all()
    held = shelf_bytes.measure(texts_of(index), labels, 6)
    assert np.allclose(index.core.shares, held.shares, atol=1e-3) and np.array_equal(index.core.presence, held.presence)
    assert np.array_equal(index.signs.most, held.most)


@pytest.mark.parametrize("core", ["float16", "int8"])
@pytest.mark.parametrize("storage", ["int8", "float16", "float32"])
def test_what_is_certified_is_what_reading_everything_finds(corpus, tmp_path, core, storage):
    build_index(str(corpus), tmp_path / "i", **(TINY | {"shelves": 12}), core=core, storage=storage)
    index = open_index(tmp_path / "i")
    vectors, labels = joined(index)
    queries = np.concatenate([vectors[:40], np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)])
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    scores = queries @ vectors.T
    bounds = upper_bounds(queries, index.core.statistics)
    assert all((scores[:, labels == shelf].max(1) <= bounds[:, shelf]).all() for shelf in range(12))
    best = -np.sort(-scores, axis=1)[:, :3]
    exact = search(index, queries, 3, Budget(exact=True))
    assert exact.certified.all() and np.allclose(exact.scores, best, atol=1e-5)
    some = search(index, queries, 3, Budget(share=0.5))
    assert np.allclose(some.scores[some.certified], best[some.certified], atol=1e-5)
    near = search(index, queries, 3, Budget(exact=True), least=0.97)
    assert near.certified.all() and np.array_equal(np.isneginf(near.scores), ~(np.round(best, 5) >= 0.97))
    assert near.read[:40].sum() < exact.read[:40].sum()


def test_a_search_finds_the_topic_and_says_what_it_read(built):
    found = search_index(built, "a captain and an anchor on the ship", k=5, open=0.3)
    assert all(set(hit.text.split()) & {"ship", "captain", "anchor", "sail", "harbour"} for hit in found.results)
    assert [hit.score for hit in found.results] == sorted((hit.score for hit in found.results), reverse=True)
    index = open_index(built)
    assert found.texts_read == int(np.ceil(0.3 * len(index))) and found.bytes_read == found.texts_read * 68
    assert found.opened_shelves == len(found.opened) < found.shelves == 6
    for hit in found.results:
        assert index.text(hit.id) == hit.text and hit.shelf in found.opened and index.document(hit.id) == hit.document
    assert search_index(built, "ship", k=1, bytes=68 * 10).texts_read == 10
    assert search_index(built, "ship", k=1, exact=True).certified
    assert search_index(built, "ship", k=1, open=1.0).certified
    assert search_index(built, "ship", router="centroid").router == "centroid"


def test_answers_do_not_depend_on_the_other_queries(built):
    index = open_index(built)
    queries = next(index.vectors())[:30]
    together = search(index, queries, 5, Budget(share=0.2))
    for row in range(0, 30, 7):
        alone = search(index, queries[row : row + 1], 5, Budget(share=0.2))
        assert np.array_equal(alone.members[0], together.members[row])
        assert np.array_equal(alone.read[0], together.read[row]) and alone.certified[0] == together.certified[row]


def test_a_recall_that_is_asked_for_reads_as_far_as_the_dial_says_and_finds_about_that(built):
    index = open_index(built)
    vectors, _ = joined(index)
    few, many = (search(index, vectors, 5, Budget(recall=r)).read.sum(1) for r in (0.5, 0.95))
    assert (few < many).all() and (many == index.dial.for_recall(0.95, sigmas=1.0)).all()
    owns = [Own(documents=frozenset([index.document(member)])) for member in range(len(index))]
    found = search(index, vectors, 5, Budget(recall=0.95), owns=owns)
    whole = search(index, vectors, 5, Budget(share=1.0), owns=owns)
    assert (found.members[:, :, None] == whole.members[:, None, :]).any(1).mean() > 0.85


def test_a_router_that_learns_is_kept_with_the_index(corpus, tmp_path):
    build_index(str(corpus), tmp_path / "i", **TINY, router="ebm")
    index = open_index(tmp_path / "i")
    queries = next(index.vectors())[:5]
    assert np.array_equal(index.router().scores(queries), open_index(tmp_path / "i").router("ebm").scores(queries))
    assert search_index(tmp_path / "i", "sugar and flour", k=2).router == "ebm"


def test_a_search_gives_k_texts_or_says_why_not(corpus, built, tmp_path):
    build_index(str(write(tmp_path / "five.jsonl", lines(5))), tmp_path / "five", embedder="wordllama-64")
    for folder, texts in ((tmp_path / "five", 5), (built, len(open_index(built)))):
        for k in (1, 3, 5, 10, 50, 300):
            for bound in ({}, {"exact": True}, {"recall": 0.01}):
                told = search_index(folder, "ship and sail", k=k, **bound)
                assert len(told.results) == min(k, texts) and told.k == k
                assert (told.note is None) == (k <= texts) and (k <= texts or f"holds {texts} texts" in told.note)
    few = search_index(built, "ship", k=9, bytes=68 * 4)
    assert len(few.results) == few.texts_read == 4 and "4 of 9 found, since 4 of 246 texts were read" in few.note
    assert "since 3 of 246" in search_index(built, "ship", k=9, open=0.01).note
    assert "score of 1.1 or more" in search_index(built, "ship", k=9, least=1.1).note


def test_the_dials_of_an_index_are_kept_for_each_k_and_an_older_index_has_one(built, corpus):
    index = open_index(built)
    dials = index.dials.curves
    assert sorted(dials) == [1, 10, 50] and dials[10].recall.tolist() == index.dial.recall.tolist()
    reads = [index.dials.for_recall(k, 0.9) for k in (1, 10, 50)]
    assert reads == sorted(reads) and dials[1].recall.mean() > dials[50].recall.mean()
    older = replace(
        index, arrays={name: a for name, a in index.arrays.items() if not name.startswith(("dial.k", "dial.other"))}
    )
    assert list(older.dials.curves) == [10]


def test_two_halves_on_the_same_shelves_add_up_to_the_whole(corpus, tmp_path):
    documents = list(read_documents(corpus))
    build_index(str(corpus), tmp_path / "shelves", **TINY)
    sources = {"a": documents[:100], "b": documents[90:], "all": documents}
    for name, part in sources.items():
        build_index(str(write(tmp_path / f"{name}.jsonl", part)), tmp_path / name, like=tmp_path / "shelves")
    told = merge_indexes([tmp_path / "a", tmp_path / "b"], tmp_path / "merged")
    assert told.repeated == 10 and told.documents == 240
    grown = add_texts(tmp_path / "a", str(tmp_path / "b.jsonl"))
    assert grown.repeated == 10 and grown.added == told.texts - 100
    whole = open_index(tmp_path / "all")
    for name in ("merged", "a"):
        index = open_index(tmp_path / name)
        assert index.manifest.fingerprint == whole.manifest.fingerprint
        assert sorted(texts_of(index)) == sorted(texts_of(whole))
        assert {index.document(m) for m in range(len(index))} == set(range(240))
        same_statistics(index, whole)
        for query in ("ship and sail", "word0x17."):
            ours, theirs = (search_index(i, query, k=4, open=1.0).results for i in (index, whole))
            assert [hit.text for hit in ours] == [hit.text for hit in theirs]
            assert [h.document for h in ours] == [h.document for h in theirs]
    assert texts_of(open_index(tmp_path / "merged")) == texts_of(whole)


def test_a_repeated_document_is_told_by_building_adding_merging_and_parting_alike(tmp_path):
    documents = lines(40, seed=4)
    ends = [
        " ",
        "\n\t",
        "\u00a0",
        "\u3000",
        "\u2028",
        "\x85",
        "\x1c",
        "\u2003 \n",
        "\u1680",
        "\ufeff",
    ]  # the last is no white space
    again = [end + text + end for end, text in zip(ends, documents, strict=False)]
    sources = {"first": documents, "again": again, "both": documents + again}
    paths = {name: str(write(tmp_path / f"{name}.jsonl", part)) for name, part in sources.items()}
    first = build_index(paths["first"], tmp_path / "first", **TINY)
    assert build_index(paths["both"], tmp_path / "both", **TINY).repeated == 9 and first.repeated == 0
    build_index(paths["again"], tmp_path / "again", like=tmp_path / "first")
    assert merge_indexes([tmp_path / "first", tmp_path / "again"], tmp_path / "merged").repeated == 9
    assert add_texts(tmp_path / "first", paths["again"]).repeated == 9
    prints = {open_index(tmp_path / name).manifest.fingerprint for name in ("first", "both", "merged")}
    assert len(prints) == 1
    for text, other in zip(documents[:9], again[:9], strict=True):
        assert bare(other.encode()) == text.encode() and digest(other.encode()) == digest(text.encode())


def test_adding_keeps_what_was_there_and_what_is_known_is_not_added(built, corpus, tmp_path):
    folder = shutil.copytree(built, tmp_path / "i")
    before = open_index(folder)
    old = texts_of(before)
    assert add_texts(folder, str(corpus)).added == 0 and snapshot(folder) == snapshot(built)
    fresh = lines(30, seed=3)
    for part in (fresh[:20], fresh):
        told = add_texts(folder, str(write(tmp_path / "more.jsonl", part)))
    assert told.added == 10 and told.repeated == 20 and told.documents == 270
    after = open_index(folder)
    assert texts_of(after)[: len(old)] == old and [after.document(m) for m in range(5)] == [
        before.document(m) for m in range(5)
    ]
    assert texts_of(before) == old  # one that was open goes on as it was
    for text in fresh:
        assert grep_index(after, text).matches == 1
        assert search_index(after, text, k=1, exact=True).results[0].text == text
    assert [p.name for p in folder.glob("core-*")] == ["core-3.safetensors"] and len(after.segments) == 3
    merge_indexes([folder], tmp_path / "one")
    one = open_index(tmp_path / "one")
    assert len(one.segments) == 1 and sorted(texts_of(one)) == sorted(texts_of(after))
    same_statistics(one, after)


def test_the_same_corpus_and_seed_give_the_same_index(corpus, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        build_index(str(corpus), tmp_path / name, **(TINY | {"shelves": 8}), seed=seed)
    a, b, c = ({p.name: p.read_bytes() for p in sorted((tmp_path / n).rglob("*")) if p.is_file()} for n in "abc")
    assert a == b and a["core-1.safetensors"] != c["core-1.safetensors"]
    assert json.loads(a["index.json"])["fingerprint"] == json.loads(c["index.json"])["fingerprint"]


def test_a_corpus_larger_than_the_sample_and_the_batches_is_the_same_corpus(corpus, tmp_path, monkeypatch):
    build_index(str(corpus), tmp_path / "whole", **TINY)
    monkeypatch.setattr("unmask.roots.building.build.SAMPLE", 192)
    monkeypatch.setattr("unmask.roots.building.intake._BATCH", 16)
    monkeypatch.setattr("unmask.roots.building.measure.ROWS", 50)
    monkeypatch.setattr("unmask.roots.shelves.segment._ROWS", 32)
    build_index(str(corpus), tmp_path / "parts", like=tmp_path / "whole")
    whole, parts = open_index(tmp_path / "whole"), open_index(tmp_path / "parts")
    moved = np.abs(whole.sizes - parts.sizes).sum()
    assert sorted(texts_of(parts)) == sorted(texts_of(whole)) and moved <= 4  # fitted labels, and the rule's
    build_index(str(corpus), tmp_path / "sampled", **TINY)
    assert sorted(texts_of(open_index(tmp_path / "sampled"))) == sorted(texts_of(whole))
    assert (open_index(tmp_path / "sampled").sizes > 0).all()


@pytest.mark.parametrize("size", [0, 2, 3])
def test_grep_through_an_index_finds_what_a_scan_does(corpus, tmp_path, size):
    build_index(str(corpus), tmp_path / "i", **TINY, grams=size)
    index = open_index(tmp_path / "i")
    for pattern in ("ship", "word0x23", "e", "zzz", "and word0x1."):
        found = grep_index(index, pattern, limit=1000)
        assert sorted(hit.text for hit in found.results) == sorted(
            t.decode() for t in texts_of(index) if pattern.encode() in t
        )
        assert found.matches == len(found.results) and found.bytes_read <= found.bytes == index.manifest.bytes
    assert grep_index(index, "zzz").bytes_read == 0 and grep_index(index, "e", limit=2).matches > 2


def test_the_account_adds_up(built):
    told = index_stats(built).to_dict()
    index = open_index(built)
    parts = [
        told["resident"][name] for name in ("centroids", "sketch", "ranges_and_moments", "bytes", "dial_and_router")
    ]
    file = (built / index.manifest.name("core")).stat().st_size
    assert told["resident"]["core"] == sum(parts) and 0 <= file - sum(parts) < 2048  # the file's header
    texts = told["holds"]["texts"]
    assert told["resident"]["vectors_as_float32_over_core"] == pytest.approx(texts * 256 / sum(parts))
    assert told["elsewhere"]["vectors"] == texts * 68 and told["elsewhere"]["texts"] == index.manifest.bytes
    assert told["query"]["bytes_read"] == told["query"]["texts_read"] * 68
    assert told["grep"]["bitmaps"] == 6 * grams.WIDTH


def killed(call):
    """Run a call in a copy of this process that kills itself on the way."""
    child = os.fork()
    if not child:
        call()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.parametrize("function", ["group", "write_core", "write_manifest"])
@pytest.mark.parametrize("verb", ["build", "add"])
def test_a_killed_change_leaves_the_index_as_it_was_and_the_next_one_works(
    built, corpus, tmp_path, monkeypatch, verb, function
):
    folder, more = tmp_path / "i", str(write(tmp_path / "more.jsonl", lines(9, seed=4)))
    if verb == "add":
        shutil.copytree(built, folder)

    def call():
        add_texts(folder, more) if verb == "add" else build_index(str(corpus), folder, **TINY)

    with monkeypatch.context() as patch:
        module = "unmask.roots.building.change" if verb == "add" else "unmask.roots.building.build"
        patch.setattr(f"{module}.{function}", lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
        killed(call)
    if verb == "add":
        assert texts_of(open_index(folder)) == texts_of(open_index(built))
        call()
        assert len(open_index(folder)) == len(open_index(built)) + 9
    else:
        with pytest.raises(Error, match="is not an index"):
            open_index(folder)
        call()
        assert len(open_index(folder)) == 240
    named = {name.partition("/")[0] for name in read_manifest(folder).files}
    assert {path.name for path in folder.iterdir()} == named | {"index.json"}


@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")], ids=["ctrl-c", "full"]
)
@pytest.mark.parametrize("verb", ["build", "force", "add", "merge"])
def test_ctrl_c_and_a_full_disk_leave_nothing_half_written(built, corpus, tmp_path, monkeypatch, failure, verb):
    folder = tmp_path / "i"
    if verb != "build":
        shutil.copytree(built, folder)
    write(tmp_path / "more.jsonl", lines(9, seed=4))
    before = snapshot(tmp_path)

    def fail(*args, **kwargs):
        raise failure

    module = "unmask.roots.building.change" if verb == "add" else "unmask.roots.building.build"
    monkeypatch.setattr(f"{module}.write_core", fail)
    with pytest.raises(KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else Error) as caught:
        if verb == "add":
            add_texts(folder, str(tmp_path / "more.jsonl"))
        elif verb == "merge":
            merge_indexes([built], folder, force=True)
        else:
            build_index(str(corpus), folder, **TINY, force=verb == "force")
    assert isinstance(failure, KeyboardInterrupt) or "no disk space left" in str(caught.value)
    if verb == "add":
        assert texts_of(open_index(folder)) == texts_of(open_index(built))
        monkeypatch.undo()
        add_texts(folder, str(tmp_path / "more.jsonl"))
        assert len(open_index(folder)) == len(open_index(built)) + 9
    else:
        assert snapshot(tmp_path) == before


def test_two_changes_at_once_are_refused(built, tmp_path):
    folder = shutil.copytree(built, tmp_path / "i")
    more = str(write(tmp_path / "more.jsonl", lines(3, seed=5)))
    from unmask.roots.building.publish import changing

    with changing(folder), pytest.raises(Error, match="another process is changing the index"):
        add_texts(folder, more)
    assert add_texts(folder, more).added == 3


def test_settings_that_differ_cannot_be_merged(built, corpus, tmp_path):
    for name, more in {
        "shelves": {"shelves": 4},
        "seed": {"shelves": 6, "seed": 5},
        "grams": {"shelves": 6, "grams": 2},
    }.items():
        build_index(str(corpus), tmp_path / name, embedder="wordllama-64", passage=512, **more)
        with pytest.raises(Error, match="of them like "):
            merge_indexes([built, tmp_path / name], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    with pytest.raises(Error, match="brings its shelves .6.; leave --shelves out."):
        build_index(str(corpus), tmp_path / "x", like=built, shelves=3)
    with pytest.raises(Error, match="brings its embedder; leave --embedder out."):
        build_index(str(corpus), tmp_path / "x", like=built, embedder="wordllama-128")
    assert build_index(str(corpus), tmp_path / "x", like=built, shelves=6, passage=512).shelves == 6


def test_one_text_is_an_index(tmp_path):
    build_index(str(write(tmp_path / "c.jsonl", ["only this"])), tmp_path / "i", embedder="wordllama-64")
    assert search_index(tmp_path / "i", "this", k=1).results[0].text == "only this"
    assert (
        search_index(tmp_path / "i", "this", k=1, recall=0.9).results
        and grep_index(tmp_path / "i", "only").matches == 1
    )


def test_texts_that_no_embedder_knows_are_found_by_grep(tmp_path):
    texts = ["", "  ", "\u200b", "plain words here", "\u0928\u092e\u0938\u094d\u0924\u0947 \U0001f600", "a"]
    build_index(str(write(tmp_path / "c.jsonl", texts)), tmp_path / "i", embedder="wordllama-64", shelves=2)
    assert open_index(tmp_path / "i").manifest.texts == 4
    assert grep_index(tmp_path / "i", "\U0001f600").matches == grep_index(tmp_path / "i", "\u0938\u094d").matches == 1


def test_an_index_of_the_first_version_opens_and_answers_as_it_did(tmp_path):
    golden = Path(__file__).parent.parent / "fixtures" / "index-v1"
    found = search_index(golden, "a boat at sea", k=3, exact=True)
    assert [(hit.id, hit.document) for hit in found.results] == [(1, 1), (0, 0), (6, 5)]
    assert [hit.score for hit in found.results] == pytest.approx([0.6370, 0.5322, 0.3839], abs=2e-3)
    assert [(hit.source, hit.line, hit.where) for hit in found.results[:1]] == [(None, None, "document 1")]
    (hit,) = grep_index(golden, "\u0915\u0939\u093e\u0928\u0940").results
    assert (hit.document, hit.offset) == (4, 47)
    folder = shutil.copytree(golden, tmp_path / "i")
    more = write(tmp_path / "more.jsonl", ["Salt on the sail."])
    assert add_texts(folder, str(more)).texts == 8
    assert merge_indexes([golden], tmp_path / "m").texts == 7
    merge_indexes([folder], tmp_path / "both")
    for place in (folder, tmp_path / "both"):  # what was added has a place, what was there has none
        assert [hit.where for hit in grep_index(place, "Salt").results] == [f"{more}:1"]
        assert [hit.source for hit in grep_index(place, "\u0915\u0939\u093e\u0928\u0940").results] == [None]
