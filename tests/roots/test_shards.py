"""Many at work build the index that one builds, and parts that lie apart are searched as their merge is."""

from __future__ import annotations

import os
import shutil
import signal
import sys

import numpy as np
import pytest

from ray_stand_in import StandIn
from roots.small_corpus import lines, write
from roots.test_index import same_statistics, snapshot, texts_of
from unmask.api.index import add_texts, build_index, link_indexes, merge_indexes
from unmask.api.index_search import grep_index, index_stats, search_index
from unmask.data.readers import read_documents
from unmask.errors import Error
from unmask.roots.building import intake
from unmask.roots.building.arrivals import Spill
from unmask.roots.building.intake import open_documents
from unmask.roots.embed.embedders import make_embedder
from unmask.roots.index import open_index
from unmask.roots.search.budget import Budget
from unmask.roots.search.near import Own
from unmask.roots.search.search import search
from unmask.roots.search.spread import Spread
from unmask.workers import Processes, at_work

TINY = {"shelves": 6, "embedder": "wordllama-64", "passage": 0}
NUMBER = "__import__('os').getpid()"
BUDGETS = [Budget(share=0.02), Budget(share=0.3), Budget(share=1.0), Budget(bytes=68 * 17), Budget(exact=True)]


@pytest.fixture(scope="module")
def two():
    processes = Processes(2)
    yield processes
    processes.close()


@pytest.fixture(scope="module")
def parts(corpus, tmp_path_factory):
    """Three parts of the corpus on the same shelves, one of them in two segments; their merge, and their link."""
    folder = tmp_path_factory.mktemp("parts")
    build_index(str(corpus), folder / "shelves", **TINY)
    for number in (1, 2, 3):
        build_index(str(corpus), folder / f"{number}", like=folder / "shelves", part=f"{number}/3")
    add_texts(folder / "2", str(write(folder / "more.jsonl", lines(40, seed=7))))
    three = [folder / name for name in "123"]
    merge_indexes(three, folder / "merged")
    link_indexes(three, folder / "linked")
    return folder


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def many_batches(monkeypatch):
    monkeypatch.setattr("unmask.roots.building.build.SAMPLE", 192)
    monkeypatch.setattr("unmask.roots.building.intake._BATCH", 16)
    monkeypatch.setattr("unmask.roots.building.measure.ROWS", 50)


def asked(index, count=40):
    queries = np.concatenate([next(index.vectors())[:count], np.eye(count, 64, dtype=np.float32)])
    return queries / np.linalg.norm(queries, axis=1, keepdims=True)


def above(index, found, bounds):
    """Return the texts above a score for each query; which texts are at the bound is a matter of rounding."""
    rows = zip(found.scores, found.members, bounds, strict=True)
    return [{index.text(int(member)) for member in members[scores > bound]} for scores, members, bound in rows]


def test_several_processes_build_the_index_of_one_byte_for_byte(corpus, tmp_path, monkeypatch, two):
    many_batches(monkeypatch)
    for name, workers in (("one", None), ("two", two)):
        build_index(str(corpus), tmp_path / name, **TINY, workers=workers)
    one = files(tmp_path / "one")
    assert one == files(tmp_path / "two") and len(one) == 6


def test_answers_come_in_order_and_a_call_that_was_given_up_does_not_spoil_the_next(two):
    big = "x" * 300_000  # more than a pipe holds
    assert list(two.map(len, ["a" * n for n in range(9)])) == list(range(9))
    given_up = two.map(str.upper, [big] * 5)
    assert next(given_up) == big.upper()
    given_up.close()
    assert list(two.map(str.lower, [big] * 3)) == [big] * 3
    with pytest.raises(Error, match="unknown embedder 'nonesuch'") as caught:
        list(two.map(make_embedder, ["nonesuch"] * 4))
    assert "\n" not in str(caught.value)
    with pytest.raises(Error, match=r"^a worker failed \(ValueError: invalid literal"):
        list(two.map(int, ["1", "x", "3"]))
    assert list(two.map(int, "1234")) == [1, 2, 3, 4] and list(two.map(int, "")) == []


def test_what_a_worker_prints_is_no_answer(two):
    assert list(two.map(print, ["said on purpose"])) == [None]


def test_a_killed_worker_is_one_line_and_leaves_nothing(corpus, tmp_path, monkeypatch):
    many_batches(monkeypatch)
    monkeypatch.setattr(intake.Embed, "__reduce__", lambda self: (signal.raise_signal, (signal.SIGKILL,)))
    with pytest.raises(Error, match=r"^a worker was ended by SIGKILL \(out of memory\?\); start again") as caught:
        build_index(str(corpus), tmp_path / "i", **TINY, workers=2)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_ctrl_c_ends_the_workers_and_leaves_the_index_that_was_there(built, corpus, tmp_path, monkeypatch):
    many_batches(monkeypatch)
    folder = shutil.copytree(built, tmp_path / "i")
    started = []
    plain, add = Processes.__init__, Spill.add

    def start(self, *given):
        plain(self, *given)
        started.extend(self._processes)

    def interrupt(self, *args):
        if self.count >= 64:
            raise KeyboardInterrupt
        return add(self, *args)

    monkeypatch.setattr(Processes, "__init__", start)
    monkeypatch.setattr(Spill, "add", interrupt)
    before = snapshot(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        build_index(str(corpus), folder, **TINY, workers=2, force=True)
    assert snapshot(tmp_path) == before and len(started) == 2
    assert all(process.poll() == -signal.SIGKILL for process in started)


def test_parts_share_no_document_and_together_are_the_corpus(tmp_path):
    texts = [*lines(60), *lines(60), *(f"  {text}\n" for text in lines(60))]
    source = str(write(tmp_path / "c.jsonl", texts))
    held = [[one.text.strip() for one in open_documents(source, "all", part=f"{n}/4")] for n in (1, 2, 3, 4)]
    assert sorted(sum(held, [])) == sorted(text.strip() for text in texts)
    assert sum(len(set(part)) for part in held) == 60 and all(5 < len(set(part)) < 30 for part in held)
    for wrong in ("0/2", "3/2", "2", "a/b", "1/", "-1/2"):
        with pytest.raises(Error, match="such as 1/4"):
            open_documents(source, "all", part=wrong)


def test_linked_parts_measure_and_answer_as_their_merge(parts):
    linked, merged = open_index(parts / "linked"), open_index(parts / "merged")
    assert len(linked.segments) == 4 and len(merged.segments) == 1
    assert linked.manifest.fingerprint == merged.manifest.fingerprint and len(linked) == len(merged) == 280
    same_statistics(linked, merged)
    for name, array in merged.arrays.items():
        assert name.startswith("dial.") or np.array_equal(linked.arrays[name], array), name
    assert sorted(texts_of(linked)) == sorted(texts_of(merged))
    queries = asked(merged)
    for router in ("moments", "centroid"):
        for budget in BUDGETS:
            ours, theirs = (search(i, queries, 5, budget, router=i.router(router)) for i in (linked, merged))
            assert np.array_equal(ours.read, theirs.read) and np.array_equal(ours.certified, theirs.certified)
            assert np.allclose(ours.scores, theirs.scores, atol=1e-6)
            last = theirs.scores[:, -1] + 1e-5
            assert above(linked, ours, last) == above(merged, theirs, last)
    for pattern in ("ship", "word7x", "and word0x1"):
        ours, theirs = (grep_index(i, pattern, limit=999) for i in (linked, merged))
        assert sorted(hit.text for hit in ours.results) == sorted(hit.text for hit in theirs.results)
        assert ours.bytes_read == theirs.bytes_read
    whole = search(linked, queries, 5, Budget(share=1.0))
    vectors = np.concatenate(list(linked.vectors()))
    assert np.allclose(whole.scores, -np.sort(-(queries @ vectors.T), axis=1)[:, :5], atol=1e-5)


def test_a_linked_index_is_an_index_like_any_other(parts, tmp_path):
    linked = parts / "linked"
    assert {p.name for p in linked.iterdir()} == {
        "index.json", "core-1.safetensors", "grep-1.safetensors", "statistics-1.safetensors",
    }  # fmt: skip
    assert index_stats(linked).to_dict()["elsewhere"] == pytest.approx(
        index_stats(parts / "merged").to_dict()["elsewhere"], abs=4096
    )
    assert search_index(linked, "sugar and flour", k=3, recall=0.9).results
    assert merge_indexes([linked], tmp_path / "m").fingerprint == open_index(linked).manifest.fingerprint
    with pytest.raises(Error, match="is linked to other indexes; add to one of them"):
        add_texts(linked, str(parts / "more.jsonl"))


def test_reading_by_workers_is_reading_here(parts, two):
    index = open_index(parts / "linked")
    queries = asked(index)
    own = [Own(frozenset([row]), frozenset(), 0.9 if row % 2 else None) for row in range(len(queries))]
    for owns in (None, own):
        for budget, least in [(budget, -np.inf) for budget in BUDGETS] + [(Budget(exact=True), 0.9)]:
            here = search(index, queries, 4, budget, owns=owns, least=least)
            away = search(index, queries, 4, budget, owns=owns, least=least, reading=Spread(index, two))
            for one, other in zip(here.__dict__.values(), away.__dict__.values(), strict=True):
                assert np.array_equal(one, other)
    told_here = search_index(index, "ship and sail", k=4).to_dict()
    assert told_here == search_index(index, "ship and sail", k=4, workers=two).to_dict()


def test_an_index_that_was_replaced_is_read_anew_by_the_same_workers(corpus, tmp_path, two):
    documents = list(read_documents(corpus))[:60]
    for part in (documents[:30], documents[30:]):
        build_index(str(write(tmp_path / "c.jsonl", part)), tmp_path / "i", **TINY, force=True)
        index = open_index(tmp_path / "i")
        here, away = (search(index, asked(index, 10), 3, Budget(exact=True), **how) for how in ({}, on(index, two)))
        assert np.array_equal(here.scores, away.scores) and np.array_equal(here.members, away.members)


def on(index, workers):
    return {"reading": Spread(index, workers)}


def test_parts_that_changed_are_told(parts, tmp_path):
    for name in "12":
        shutil.copytree(parts / name, tmp_path / name)
    one, other, linked = tmp_path / "1", tmp_path / "2", tmp_path / "linked"
    link_indexes([one, other], linked)
    before = len(open_index(linked))
    add_texts(one, str(write(tmp_path / "new.jsonl", lines(5, seed=8))))
    assert len(open_index(linked)) == before  # as it was linked, until it is linked again
    assert link_indexes([one, other], linked, force=True).texts == before + 5
    merge_indexes([one, other], other, force=True)
    with pytest.raises(Error, match="unmask index link DIR... --force --output"):
        open_index(linked)
    shutil.rmtree(one)
    with pytest.raises(Error, match="1/segment-1.* is missing.* unmask index link"):
        open_index(linked)


def test_what_cannot_be_linked_is_refused(parts, built, corpus, tmp_path):
    shutil.copytree(parts / "1", tmp_path / "1")
    with pytest.raises(Error, match=r"documents of .* are in an index before it.*part I/N"):
        link_indexes([parts / "1", parts / "shelves"], tmp_path / "x")
    with pytest.raises(Error, match="is one of the indexes to be linked"):
        link_indexes([tmp_path / "1", parts / "2"], tmp_path / "1", force=True)
    with pytest.raises(Error, match="of them like "):
        link_indexes([parts / "1", built], tmp_path / "x")
    with pytest.raises(Error, match="workers is 0; give at least 1"):
        build_index(str(corpus), tmp_path / "x", **TINY, workers=0)
    with pytest.raises(Error, match="on is 'moon'; choose processes or ray"):
        search_index(built, "ship", workers=2, on="moon")
    with pytest.raises(Error, match="set on to ray"):
        link_indexes([tmp_path / "1"], tmp_path / "x", address="auto")
    assert [p.name for p in tmp_path.iterdir()] == ["1"] and len(open_index(tmp_path / "1")) > 0


def test_actors_of_a_stand_in_for_ray_do_the_same(parts, corpus, tmp_path, monkeypatch):
    many_batches(monkeypatch)
    ray = StandIn()
    monkeypatch.setitem(sys.modules, "ray", ray)
    for name, place in (("here", {}), ("ray", {"on": "ray"})):
        build_index(str(corpus), tmp_path / name, **TINY, **place)
    assert files(tmp_path / "here") == files(tmp_path / "ray")
    assert {1, 2} == set(ray.calls) and ray.alive == 0 and not ray.connected
    assert (
        search_index(parts / "linked", "ship", on="ray", workers=2).results
        == search_index(parts / "linked", "ship").results
    )
    with pytest.raises(Error, match="workers is 3, and the Ray cluster has 2 CPUs"), at_work(3, "ray"):
        pass
    with pytest.raises(Error, match=r"no Ray cluster at 'auto' \(nobody there\); start one with: ray start --head"):
        build_index(str(corpus), tmp_path / "x", **TINY, on="ray", address="auto")
    ray.dies = True
    with pytest.raises(Error, match=r"^a worker on Ray died 3 times \(The actor died\.\); start again\.$"):
        build_index(str(corpus), tmp_path / "x", **TINY, on="ray")
    assert ray.alive == 0 and not ray.connected and not (tmp_path / "x").exists()


def test_without_ray_one_line_says_how_to_get_it(corpus, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Error, match=r"pip install 'unmask\[ray\]'"):
        build_index(str(corpus), tmp_path / "i", **TINY, on="ray")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_local_ray_does_the_same_and_starts_dead_workers_again(parts, corpus, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra is not installed: pip install 'unmask[ray]'")
    many_batches(monkeypatch)
    build_index(str(corpus), tmp_path / "here", **TINY)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        build_index(str(corpus), tmp_path / "ray", **TINY, on="ray")
        assert files(tmp_path / "here") == files(tmp_path / "ray")
        index = open_index(parts / "linked")
        with at_work(2, "ray") as actors:
            assert actors.count == 2
            with pytest.raises(Error, match="unknown embedder"):
                list(actors.map(make_embedder, ["nonesuch"]))
            first = list(actors.map(eval, [NUMBER] * 2))
            os.kill(first[0], signal.SIGKILL)
            for budget in BUDGETS:
                here, away = (search(index, asked(index), 4, budget, **how) for how in ({}, on(index, actors)))
                assert np.array_equal(here.scores, away.scores) and np.array_equal(here.members, away.members)
            assert first[0] not in list(actors.map(eval, [NUMBER] * 2))
            with pytest.raises(Error, match="a worker on Ray died 3 times"):
                list(actors.map(signal.raise_signal, [signal.SIGKILL]))
    finally:
        ray.shutdown()
