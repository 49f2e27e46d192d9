"""Every kind of file gives its documents, and a bad one is named."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.data import readers
from unmask.data.cache import cache_folder
from unmask.data.readers import read_documents
from unmask.data.sources import absolute, open_source
from unmask.errors import Error


def test_all_formats_give_the_same_documents(tmp_path: Path, lines: Callable[..., str]) -> None:
    texts = ["one \u200d\r\n ", "two\n\nthree \U0001f468\u200d\U0001f469", "\u0301"]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    for path in (lines(texts, "a.jsonl"), lines(texts, "a.jsonl.gz"), str(tmp_path / "a.parquet")):
        assert list(open_source(path).documents()) == texts


def test_folders_globs_and_lists_are_read_in_sorted_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert list(open_source(str(tmp_path)).documents()) == ["a.txt", "b.txt", "sub/c.txt"]
    assert list(open_source(str(tmp_path / "*.txt")).documents()) == ["a.txt", "b.txt"]
    assert list(open_source(f"{tmp_path}/b.txt, {tmp_path}/a.txt").documents()) == ["b.txt", "a.txt"]


@given(parts=st.lists(st.text("ab \n\r\u0928", max_size=60), max_size=40))
@settings(deadline=None, max_examples=60)
def test_passages_lose_nothing_but_white_space_at_their_borders(parts: list[str]) -> None:
    text = "".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "LONG", 50)
        patch.setattr(readers, "PASSAGE", 12)
        passages = [text for text, _ in readers._passages(iter(parts))]
        assert "".join("".join(passages).split()) == "".join(text.split())
        assert all(len(passage) <= 50 for passage in passages)
        if len(text) <= 50:
            assert passages == ([text] if text else [])
        whole = [text for text, _ in readers._passages(iter([text]))]
    assert whole == passages or len(text) > 50  # a short file is one document however it is read


def test_a_long_text_is_cut_at_paragraphs_and_a_short_one_is_whole(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {n}. " + "word " * 200 for n in range(60)]
    (tmp_path / "long.txt").write_text("\n\n".join(paragraphs))
    (tmp_path / "short.txt").write_text("a\n\nb\n")
    np.save(tmp_path / "long.npy", np.frombuffer((tmp_path / "long.txt").read_bytes(), np.uint8))
    passages = list(read_documents(tmp_path / "long.txt"))
    assert 10 < len(passages) < 16
    assert all(passage.startswith("Paragraph") for passage in passages)
    assert list(read_documents(tmp_path / "short.txt")) == ["a\n\nb\n"]
    assert list(read_documents(tmp_path / "long.npy")) == passages


def test_a_byte_order_mark_is_no_text_and_a_character_may_lie_across_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_CHUNK", 4)
    (tmp_path / "bom.txt").write_bytes(b"\xef\xbb\xbf" + "a\u0928\u092e\u0938\U0001f468".encode())
    assert list(read_documents(tmp_path / "bom.txt")) == ["a\u0928\u092e\u0938\U0001f468"]


def _gz(text: str) -> bytes:
    return gzip.compress(text.encode())


BAD = {
    "empty.txt": (b"", "is empty"),
    "binary.txt": (b"abc\0def", "is binary .a zero byte at offset 3"),
    "latin.txt": ("abc caf\u00e9 d".encode("latin-1"), "not UTF-8 .byte offset 7"),
    "cut.txt": ("caf\u00e9".encode()[:-1], "not UTF-8 .byte offset 3"),
    "bad.jsonl": (b'{"text": "a"}\n{"text": \n', "bad.jsonl, line 2 is not JSON"),
    "list.jsonl": (b'["a"]\n', "is a JSON array. Write one object a line: jq"),
    "word.jsonl": (b'"a"\n', "line 1 is not a JSON object"),
    "field.jsonl": (b'\n{"body": "a", "id": 1}\n', "line 2 has no field 'text' .fields: body, id"),
    "number.jsonl": (b'{"text": 3}\n', "line 1: the field 'text' is a number, not text"),
    "surrogate.jsonl": (b'{"text": "a\\ud800"}\n', "line 1: a lone surrogate"),
    "latin.jsonl": (b'{"text": "\xe9"}\n', "line 1 is not UTF-8"),
    "notgz.jsonl.gz": (b'{"text": "a"}\n', "is damaged after line 0"),
    "cut.jsonl.gz": (_gz('{"text": "a"}\n' * 9)[:-9], "is damaged after line"),
    "bad.parquet": (b"PAR1 no", "not a readable Parquet"),
    "bad.npy": (b"no array", "is no NumPy file"),
    "what.doc": (b"a\0b", "is binary .a zero byte at offset 1"),
    "wide.txt": ("caf\u00e9".encode("utf-16"), "is UTF-16. Convert it: iconv -f UTF-16"),
    "table.csv": (b"a,b", "is no plain text. Use one of .txt"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_the_place_and_the_fix(tmp_path: Path, name: str) -> None:
    data, message = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Error, match=message) as caught:
        list(open_source(str(tmp_path / name)).documents())
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_arrays_and_columns_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "floats.npy", np.zeros((2, 2)))
    with pytest.raises(Error, match=r"holds float64 of shape \(2, 2\)"):
        list(read_documents(tmp_path / "floats.npy"))
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(Error, match=r"no column 'text' \(columns: body\)"):
        list(read_documents(tmp_path / "a.parquet"))
    assert list(read_documents(tmp_path / "a.parquet", "body")) == ["a"]


def test_notes_papers_and_code_are_text(tmp_path: Path) -> None:
    for name in ("a.md", "b.tex", "c.rst", "sub/d.py", ".venv/e.py", "f.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert list(open_source(str(tmp_path)).documents()) == ["a.md", "b.tex", "c.rst", "sub/d.py"]
    assert list(open_source(f"{tmp_path}/*.md").documents()) == ["a.md"]
    (tmp_path / "STORY").write_text("a name without a suffix")
    for name in ("a.md", "b.tex", "sub/d.py", "STORY"):
        assert len(list(open_source(str(tmp_path / name)).documents())) == 1


def test_a_note_beside_a_corpus_is_left_out_and_said(tmp_path: Path) -> None:
    for name in ("a.txt", "README.md"):
        (tmp_path / name).write_text(name)
    source = open_source(tmp_path)
    assert list(source.documents()) == ["a.txt"]
    assert source.notes == (f"1 file of {tmp_path} left out (*.md): name them too, to read them.",)
    assert open_source(tmp_path / "a.txt").notes == ()


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("one")
    for spec in ("~/a.txt", "~", "~/*.txt", "~/a.txt,~/a.txt"):
        assert list(open_source(spec).documents())[0] == "one"
        assert "~" not in absolute(spec)
    with pytest.raises(Error, match="where that home lies is not known"):
        open_source("~nobody-of-that-name/a.txt")


def test_a_home_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*path: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.setattr(Path, "expanduser", unknown)
    monkeypatch.delenv("UNMASK_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(Error, match="set UNMASK_CACHE"):
        cache_folder()
    with pytest.raises(Error, match="Write the path out"):
        open_source("~/a.txt")


@pytest.mark.parametrize(
    ("address", "instead"),
    {
        "https://example.org/a,b.txt": "Download it, and name the file: curl -LO https://example.org/a,b.txt",
        "https://huggingface.co/datasets/roneneldan/TinyStories": "is named hf:roneneldan/TinyStories.",
        "file:///data/a.txt": "Give the path alone: /data/a.txt",
    }.items(),
)
def test_an_address_is_told_to_be_downloaded(address: str, instead: str) -> None:
    with pytest.raises(Error, match="is an address, and unmask reads files") as caught:
        open_source(address)
    assert instead in str(caught.value)


@pytest.mark.parametrize("spec", ["", "/*.txt", "/**/*.txt", "/*/a.txt"])
def test_a_folder_that_may_not_be_read_is_said_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut" / "a.txt").write_text("x")
    (tmp_path / "a.txt").write_text("x")
    shut = tmp_path if spec == "/*.txt" else tmp_path / "shut"
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != shut)  # root may read everything
    with pytest.raises(Error, match=f"{shut} may not be read"):
        open_source(f"{tmp_path}{spec}")


def test_a_byte_order_mark_stands_before_json_lines_too(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a\\u2028b"}\n' + '{"text": "c\u2028d"}\n'.encode())
    assert list(open_source(tmp_path / "a.jsonl").documents()) == ["a\u2028b", "c\u2028d"]


def test_names_that_are_no_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Error, match="File name too long"):
        open_source("x" * 5000)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Error, match="neither a file nor a folder"):
        open_source(tmp_path / "pipe")
    many = [tmp_path / f"{number}.txt" for number in range(400)]
    for path in many:
        path.write_text("x")
    assert len(list(open_source(",".join(map(str, many))).documents())) == 400


def test_missing_sources_are_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "stories.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(Error, match=r"Did you mean 'stories\.txt'"):
        open_source(str(tmp_path / "storys.txt"))
    with pytest.raises(Error, match="Did you mean 'pydocs'"):
        open_source("pydoc")
    with pytest.raises(Error, match="it holds nothing"):
        open_source(str(tmp_path / "empty"))
    with pytest.raises(Error, match=r"matches .*\*\.jsonl"):
        open_source(str(tmp_path / "*.jsonl"))
    with pytest.raises(Error, match="source is empty"):
        open_source(" ,")


def test_offline_a_hub_data_set_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Error, match="cannot be reached"):
        open_source("hf:roneneldan/TinyStories")
    with pytest.raises(Error, match="no Hub name"):
        open_source("hf:a b/c")


def test_the_identity_of_files_changes_with_their_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    before = json.dumps(open_source(str(path)).identity)
    assert json.dumps(open_source(str(path)).identity) == before
    path.write_text("other")
    assert json.dumps(open_source(str(path)).identity) != before


def test_a_file_edited_in_place_with_its_size_and_time_kept_is_another_source(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the cat")
    before, status = open_source(str(path)).identity, path.stat()
    time.sleep(0.05)  # a file system's clock ticks a hundred times a second or more
    for edit in ("in place", "by a new file"):
        if edit == "in place":
            path.write_text("the dog")
        else:
            (tmp_path / "new").write_text("the dog")
            (tmp_path / "new").replace(path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        assert open_source(str(path)).identity != before, edit
