"""Odd files and names of strangers: read as they are meant, or refused in one line that says what they are."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from unmask.data.sources import check_source, open_source
from unmask.data.writers import write_documents
from unmask.errors import Error

pytestmark = pytest.mark.strangers
LINE = '{"text": "a"}\n'


def documents(path: object) -> list[str]:
    return list(open_source(str(path)).documents())


def _zip(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(name, "x")
    return packed.getvalue()


KINDS = {
    "utf16.jsonl": (LINE.encode("utf-16"), "is UTF-16. Convert it: iconv -f UTF-16 "),
    "utf16.txt": ("hello".encode("utf-16-le"), "is UTF-16. Convert it: iconv -f UTF-16LE "),
    "utf16be.txt": ("hello".encode("utf-16-be"), "is UTF-16. Convert it: iconv -f UTF-16BE "),
    "utf32.txt": ("hello".encode("utf-32"), "is UTF-32. Convert it: iconv -f UTF-32 "),
    "a b.txt": ("hello".encode("utf-16"), "iconv -f UTF-16 -t UTF-8 'a b.txt'."),
    "twice.jsonl.gz": (gzip.compress(gzip.compress(LINE.encode())), "is compressed by gzip"),
    "named.jsonl": (gzip.compress(LINE.encode()), "is compressed by gzip"),
    "a.txt.gz": (gzip.compress(b"hello"), "is compressed by gzip. Unpack it first"),
    "a.jsonl.bz2": (bz2.compress(LINE.encode()), "is compressed by bzip2"),
    "a.jsonl.xz": (lzma.compress(LINE.encode()), "is compressed by xz"),
    "a.jsonl.zst": (b"\x28\xb5\x2f\xfd\0\0", "is compressed by zstd"),
    "a.zip": (_zip("a.txt"), "is a zip archive"),
    "letter.txt": (_zip("word/document.xml"), "is a Word document. Take its text out"),
    "paper.txt": (b"%PDF-1.4\n%\xe2\xe3", "is a PDF. Take its text out"),
    "photo.txt": (b"\x89PNG\r\n\x1a\n\0", "is a picture"),
    "pointer.jsonl": (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    "page.jsonl": (b"<!DOCTYPE html>\n", "is a page .HTML or XML., as a failed download leaves one"),
    "array.jsonl": (b'[{"text": "a"},\n{"text": "b"}]', "is a JSON array"),
    "pretty.jsonl": (b'{\n "text": "a"\n}\n', "has objects of several lines"),
    "mac.jsonl": (b'{"text": "a"}\r{"text": "b"}\r', "ends its lines with CR alone"),
    "twice.jsonl": (b'{"text": "a", "text": "b"}\n', "line 1 has the field 'text' twice. Keep one."),
    "deep.jsonl": (b'{"text": "a", "x": ' + b"[" * 99999 + b"]" * 99999 + b"}", "line 1 is nested too deeply"),
    "null.jsonl": (b'{"text": null}', "the field 'text' is null, not text"),
    "digits.jsonl": (b'{"text": ' + b"9" * 5000 + b"}", "the field 'text' is a number, not text"),
    "keys.jsonl": (json.dumps({f"{i}\n": 1 for i in range(999)}).encode(), r"no field 'text' .fields: .*\.\.\.\)"),
    "head.parquet": (b"PAR1" + bytes(100) + b"PAR1", "is not a readable Parquet file"),
    "locked.parquet": (b"PARE" + bytes(100) + b"PARE", "is not a readable Parquet file"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_no_text_is_told_what_it_is(tmp_path: Path, name: str) -> None:
    data, message = KINDS[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Error, match=message) as caught:
        documents(tmp_path / name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_tables_of_other_programs_are_told(tmp_path: Path) -> None:
    pyarrow.feather.write_feather(pa.table({"text": ["a"]}), tmp_path / "a.feather")
    sqlite3.connect(tmp_path / "a.db").execute("create table t (a)").connection.close()
    with pytest.raises(Error, match="is an Arrow"):
        documents(tmp_path / "a.feather")
    with pytest.raises(Error, match="is an SQLite database"):
        documents(tmp_path / "a.db")


READ = {
    "digits.jsonl": (b'{"text": "a", "n": ' + b"9" * 5000 + b"}\n", ["a"]),
    "numbers.jsonl": (b'{"text": "a", "x": NaN, "y": -Infinity, "z": 1e999999}\n', ["a"]),
    "inner.jsonl": (b'{"text": "a", "meta": {"text": "b"}}\n', ["a"]),
    "marks.jsonl": ("\ufeff\n\ufeff" + LINE + "\ufeff" + LINE, ["a", "a"]),
    "ends.jsonl": (
        '{"text": "a\u2028b\u2029c\x85d\x0b"}\r\n\r\n'.replace("\x0b", "\\u000b"),
        ["a\u2028b\u2029c\x85d\x0b"],
    ),
    "parts.jsonl.gz": (gzip.compress(LINE.encode()) * 2, ["a", "a"]),
    "mac.txt": (b"a\rb\x0c\x0bc", ["a\rb\x0c\x0bc"]),
    "blank.jsonl": (b" \n\t\n", []),
    "mark.txt": (b"\xef\xbb\xbf", []),
}


@pytest.mark.parametrize("name", READ)
def test_an_odd_file_of_text_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    data, expected = READ[name]
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    assert documents(tmp_path / name) == expected


def test_a_column_that_is_not_utf8_is_told_with_its_row(tmp_path: Path) -> None:
    good, bad = b"fine", b"ok\xff\xfe"
    offsets = [pa.py_buffer(b"".join(at.to_bytes(size, "little") for at in (0, 4, 8))) for size in (4, 8)]
    texts = pa.py_buffer(good + bad)
    short = pa.StringArray.from_buffers(2, offsets[0], texts)
    columns = {
        "short": short,
        "long": pa.LargeStringArray.from_buffers(2, offsets[1], texts),
        "dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), short),
    }
    for name, column in columns.items():
        pq.write_table(pa.table({"text": column}), tmp_path / f"{name}.parquet")
        with pytest.raises(Error, match="row 2: the column 'text' is not UTF-8"):
            documents(tmp_path / f"{name}.parquet")
    pq.write_table(pa.table({"text": pa.array([good])}), tmp_path / "binary.parquet")
    with pytest.raises(Error, match="row 1: the field 'text' is bytes, not text"):
        documents(tmp_path / "binary.parquet")


NAMES = ["a{b}.txt", "a[1].txt", "[x]/a.txt", "50%.txt", "\U0001f600.txt", "-o.txt", "new\nline.txt", "~.txt", "#.txt"]
NAMES += ["a,b.txt", "q?.txt", " a.txt", "n" * 251 + ".txt", os.fsdecode(b"caf\xe9.txt")]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_file_of_any_name_is_found_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    try:
        Path(name).write_text("x")
    except OSError:
        pytest.skip("this file system takes no such name")
    for spec in (name, tmp_path / name, f"{tmp_path}/{Path(name).parent}", f"{Path(name).parent}/*.txt*"):
        assert documents(spec) == ["x"]
        json.dumps(open_source(str(spec)).identity).encode()


def test_what_a_folder_holds_and_is_not_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a")
    (tmp_path / "__init__.py").touch()
    (tmp_path / "gone.py").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.py")
    for spec in (tmp_path, tmp_path / "*.py"):
        source = open_source(str(spec))
        assert list(source.documents()) == ["a"]
        assert source.notes == (
            f"1 file of {spec} left out (*.py): empty.",
            f"2 files of {spec} left out (*.py): no files, or links to nothing.",
        )
    (tmp_path / "a.py").write_text("")
    with pytest.raises(Error, match="is empty. Give a file with text"):
        check_source(tmp_path)


def test_what_unmask_made_in_a_folder_of_texts_is_no_text_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a text"}\n')
    for folder, manifest in (("run", "run.json"), ("deep/ix", "index.json")):
        (tmp_path / folder / "inner").mkdir(parents=True)
        (tmp_path / folder / manifest).write_text('{"format": 1}')
        (tmp_path / folder / "metrics.jsonl").write_text('{"step": 1}\n')
        (tmp_path / folder / "inner" / "vocab.txt").write_text("word\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.json").write_text("[1]")  # of somebody else
    (tmp_path / "site" / "b.jsonl").write_text('{"text": "another"}\n')
    source = open_source(tmp_path)
    assert sorted(source.documents()) == ["a text", "another"]
    assert source.notes == (
        f"4 files of {tmp_path} left out (*.jsonl, *.txt): in a run or an index of unmask; name that folder itself, "
        "to read them.",
    )
    assert list(open_source(tmp_path / "run" / "inner").documents()) == ["word\n"]


def test_a_pattern_for_any_depth_goes_into_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("deep/er", ".git", "a[1]"):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "a.txt").write_text(folder)
    for link in "xyz":  # two ways round at each depth are more than anyone can go
        Path("deep", link).symlink_to("..")
    assert set(open_source("**/*.txt").documents()) == {"deep/er", "a[1]"}
    assert list(open_source("d*p/**/*.txt").documents()) == ["deep/er"]
    assert list(open_source("**/.git/*.txt").documents()) == [".git"]
    assert set(open_source(f"{tmp_path}/**/a.txt").documents()) == {"deep/er", "a[1]"}


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_another_process_has_written_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    path = tmp_path / "out.jsonl"

    def texts() -> Iterator[str]:
        yield "ours"
        if links:
            path.write_text("theirs")

    def refuse(*names: Path) -> None:
        raise OSError(1, "Operation not permitted")

    if links:
        with pytest.raises(Error, match="was written by another process meanwhile"):
            write_documents(texts(), path, force=False)
        assert [one.read_text() for one in tmp_path.iterdir()] == ["theirs"]
    else:
        monkeypatch.setattr(os, "link", refuse)
        assert write_documents(texts(), path, force=False) == 1
    assert write_documents(texts(), path, force=True) == 1 and "ours" in path.read_text()


def test_links_that_lead_nowhere_or_round_are_told(tmp_path: Path) -> None:
    (tmp_path / "gone.txt").symlink_to("nowhere")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    for name in ("gone.txt", "one"):
        with pytest.raises(Error, match="is a link to .*, and no file lies there"):
            documents(tmp_path / name)
    (tmp_path / "round").mkdir()
    (tmp_path / "round" / "up").symlink_to("..")
    (tmp_path / "round" / "a.txt").write_text("x")
    assert documents(tmp_path / "round") == ["x"]


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *args: object) -> object:  # root may read everything
        raise PermissionError(13, "Permission denied", str(path))

    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    for name in ("a.txt", "a.jsonl"):
        (tmp_path / name).write_text(LINE)
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(pq, "ParquetFile", refuse)
    for name in ("a.txt", "a.jsonl", "a.parquet"):
        with pytest.raises(Error, match="may not be read .permission denied"):
            documents(tmp_path / name)
