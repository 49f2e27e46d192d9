"""What is kept between runs is whole or made again, and a refusal names the place that refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from unmask.data import corpus as corpora
from unmask.data.blocks import pack
from unmask.data.cache import built, cache_folder, writing
from unmask.data.corpus import documents, load_corpus
from unmask.data.tokenizers import make_tokenizer
from unmask.data.writers import write_documents
from unmask.errors import Error

pytestmark = pytest.mark.strangers


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "text.jsonl"
    write_documents((f"Cat number {i} sat on mat {i * 7}." for i in range(99)), path)
    return path


def read(source):
    """Return the training texts of a source and the tokens of its blocks."""
    split = load_corpus(source).split("train")
    blocks = pack(split, make_tokenizer("bytes", [], 0), 32)
    return list(documents(split)), blocks.rows(range(len(blocks)))[0].tolist()


def overwrite(path):
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    middle = bytearray(path.read_bytes())
    middle[len(middle) // 2] ^= 1
    path.write_bytes(bytes(middle))
    os.utime(path, ns=times)  # only the time of the change itself tells


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "overwritten": overwrite,
    "garbage": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["corpus.json", "train.arrow", "blocks.json", "blocks.arrow"])
def test_a_damaged_file_of_the_cache_is_told_and_made_again(source, capsys, file, damage):
    before = read(source)
    assert capsys.readouterr().err == ""
    DAMAGES[damage](next(cache_folder().rglob(file)))
    assert read(source) == before
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"is damaged ({file} " in told and told.endswith("making it again.\n")
    assert read(source) == before and capsys.readouterr().err == ""


def test_a_cache_that_was_copied_is_read_and_not_made_again(source, capsys):
    before = read(source)
    for path in cache_folder().rglob("*.arrow"):
        os.utime(path)
    assert read(source) == before and capsys.readouterr().err == ""


def test_what_an_older_version_kept_is_taken_as_it_is(source, capsys):
    before = read(source)
    for path in cache_folder().rglob(".whole.json"):
        path.unlink()
    assert read(source) == before and capsys.readouterr().err == ""


@pytest.mark.parametrize("step", ["add", "close"])
def test_a_full_disk_is_one_line_and_keeps_nothing(source, monkeypatch, step):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(corpora._SplitWriter, step, full)
    with pytest.raises(Error, match=r"^no disk space left while writing to .*cache.*\. Free some space, or set"):
        load_corpus(source)
    assert not [path for path in cache_folder().rglob("*") if path.is_file()]


def test_a_source_that_may_not_be_read_is_named_and_not_the_cache(tmp_path, source, monkeypatch):
    def refuse(folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(source))

    with pytest.raises(Error, match=r"^.*text\.jsonl: Permission denied\. Check the path and its permissions\.$"):
        built(tmp_path / "cache" / "x", refuse)
    assert not (tmp_path / "cache" / "x").exists()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (None, "cannot write to GIVEN (Permission denied). Name another."),
        ("GIVEN/file", "cannot write to GIVEN (Permission denied). Name another."),
        (".", "cannot write to GIVEN (Permission denied). Name another."),
        ("elsewhere/file", "elsewhere/file: Permission denied. Check the path and its permissions."),
        (b"elsewhere/file", "elsewhere/file: Permission denied. Check the path and its permissions."),
    ],
)
def test_the_place_that_refused_is_told(tmp_path, monkeypatch, place, expected):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Error) as caught, writing(Path("GIVEN"), "name another"):
        raise PermissionError(errno.EACCES, "Permission denied", place)
    assert str(caught.value) == expected


def test_a_full_disk_elsewhere_is_told_of_that_disk(tmp_path):
    with pytest.raises(Error, match="no disk space left while writing to /elsewhere"), writing(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device", "/elsewhere/file")
