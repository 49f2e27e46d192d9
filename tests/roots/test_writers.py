"""One writer at a time, none of whose texts is lost, and readers that go on with the index that they opened."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from roots.small_corpus import lines, write
from unmask.api.index import add_texts, build_index, link_indexes, merge_indexes
from unmask.api.index_search import grep_index
from unmask.data.lock import LOCK
from unmask.errors import Error
from unmask.roots import index as opening
from unmask.roots.building import build as building
from unmask.roots.building import change
from unmask.roots.index import open_index
from unmask.roots.manifest import read_manifest
from unmask.roots.shelves.grep import grep

pytestmark = pytest.mark.strangers

TINY = {"shelves": 6, "embedder": "wordllama-64", "passage": 512}
TEXTS = 246
"""Of the small corpus: its last document is cut."""


@pytest.fixture
def index(built, tmp_path):
    return shutil.copytree(built, tmp_path / "i")


@pytest.fixture
def new(tmp_path):
    """Return a file of three new texts, other ones for each number."""
    return lambda number: str(write(tmp_path / f"new-{number}.jsonl", lines(3, seed=100 + number)))


class Other:
    """Another process that changes an index, held while it reads its texts."""

    def __init__(self, module, work):
        told, tell = os.pipe()
        wait, self.go = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            real = module.take

            def held(*args, **kwargs):
                os.write(tell, b"x")
                os.read(wait, 1)
                return real(*args, **kwargs)

            module.take = held
            try:
                work()
                os._exit(0)
            finally:
                os._exit(1)
        os.read(told, 1)

    def end(self, number=0):
        os.kill(self.pid, number) if number else os.write(self.go, b"x")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def named(folder):
    return {name.partition("/")[0] for name in read_manifest(folder).files} | {"index.json"}


def test_two_adds_through_indexes_that_were_opened_before_either_lose_nothing(index):
    one, two = open_index(index), open_index(index)
    reader = one.reader()
    for opened, text in ((one, "the first new text"), (two, "the second new text")):
        assert change.add(opened, [text], {}, reader).documents == 1
    assert len(open_index(index)) == len(one) + 2
    assert grep_index(index, "new text").matches == 2
    assert {path.name for path in index.iterdir()} == named(index)


def test_of_two_adds_at_once_one_is_refused_and_told_who_is_there(index, new):
    before, given = len(open_index(index)), (new(1), new(2))
    other = Other(change, lambda: add_texts(index, given[0]))
    with pytest.raises(Error, match=rf"another process is changing the index .*\(adding, process {other.pid} on "):
        add_texts(index, given[1])
    with pytest.raises(Error, match=rf"another process is changing .*process {other.pid} on "):
        build_index(given[1], index, **{**TINY, "shelves": 1}, force=True)
    assert len(open_index(index)) == before
    assert other.end() == 0
    added = add_texts(index, given[1])
    assert (added.added, added.texts) == (3, before + 6)


def test_of_two_builds_into_one_folder_one_is_refused(corpus, new, tmp_path):
    given = new(1)
    other = Other(building, lambda: build_index(given, tmp_path / "i", **{**TINY, "shelves": 1}))
    with pytest.raises(Error, match=rf"another process is changing the index .*\(building, process {other.pid} on "):
        build_index(str(corpus), tmp_path / "i", **TINY)
    assert other.end() == 0 and len(open_index(tmp_path / "i")) == 3
    with pytest.raises(Error, match="already holds an index; choose another output, replace it with force"):
        build_index(str(corpus), tmp_path / "i", **TINY)


@pytest.mark.parametrize("verb", ["add", "build"])
def test_a_killed_writer_is_told_and_the_next_one_works(index, new, tmp_path, capsys, verb):
    given = new(1)
    folder = index if verb == "add" else tmp_path / "fresh"

    def work():
        add_texts(folder, given) if verb == "add" else build_index(given, folder, **{**TINY, "shelves": 1})

    other = Other(change if verb == "add" else building, work)
    assert other.end(signal.SIGKILL) == -signal.SIGKILL and (folder / LOCK).exists()
    work()
    assert f"was killed ({'adding' if verb == 'add' else 'building'}, process {other.pid} on" in capsys.readouterr().err
    assert {path.name for path in folder.iterdir()} == named(folder)


@pytest.mark.parametrize("changes", ["add", "add twice", "build", "merge"])
def test_a_reader_goes_on_with_the_index_that_it_opened(index, new, changes):
    reader = open_index(index)
    wanted = lines(1)[0].encode()
    before = [reader.text(member) for member in range(len(reader))]
    if changes.startswith("add"):
        for number in range(changes.count("twice") + 1):
            add_texts(index, new(number))
    elif changes == "build":
        build_index(new(1), index, **{**TINY, "shelves": 1}, force=True)
    else:
        merge_indexes([index], index, force=True)
    assert len(reader) == TEXTS and [reader.text(member) for member in range(TEXTS)] == before
    assert grep(reader.segments, reader.signs, wanted) is not None
    assert reader.exact().statistics.count.sum() == TEXTS


def test_an_index_that_is_changed_while_it_is_opened_is_opened_as_it_is_then(index, new, monkeypatch):
    given, real, calls = new(1), opening.read_manifest, []

    def late(path):
        manifest = real(path)
        if not calls:
            calls.append(path)
            add_texts(index, given)
        return manifest

    monkeypatch.setattr(opening, "read_manifest", late)
    assert len(open_index(index)) == TEXTS + 3 and open_index(index).signs is not None


def test_force_replaces_an_index_and_nothing_else_that_lies_there(index, new):
    (index / "notes.txt").write_text("mine")
    (index / "segment-of-mine").mkdir()
    assert build_index(new(1), index, **{**TINY, "shelves": 1}, force=True).texts == 3
    assert {path.name for path in index.iterdir()} == named(index) | {"notes.txt", "segment-of-mine"}
    assert len(open_index(index)) == 3 and open_index(index).manifest.generation == 2


def test_merging_into_one_of_the_indexes_keeps_what_was_added_to_it_since(index, new, monkeypatch):
    given, real = new(1), change.published

    def late(output, make, force):
        add_texts(index, given)
        real(output, make, force)

    monkeypatch.setattr(change, "published", late)
    assert merge_indexes([index], index, force=True).texts == TEXTS + 3


def test_an_index_is_built_into_the_folder_where_one_stands(corpus, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert build_index(str(corpus), ".", **TINY).texts == TEXTS
    assert os.path.samefile(os.getcwd(), tmp_path / "here")  # not another folder in its place
    assert len(open_index(".")) == TEXTS


def test_a_link_goes_on_when_a_part_is_added_to(index, new, tmp_path):
    link_indexes([index], tmp_path / "linked")
    add_texts(index, new(1))
    assert len(open_index(tmp_path / "linked")) == TEXTS
