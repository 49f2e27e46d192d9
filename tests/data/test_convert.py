"""Changing the format of a corpus keeps its text; fetching it records what was written."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from unmask.api.data import data_convert, data_fetch, data_stats
from unmask.data import fetch as fetch_module
from unmask.data.corpus import documents, load_corpus
from unmask.data.named import NAMED, NamedCorpus
from unmask.data.readers import read_documents
from unmask.errors import Error


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_documents_survive_every_format_that_keeps_borders(
    suffix: str, tmp_path: Path, lines: Callable[..., str]
) -> None:
    texts = ["one \u200d\r\n ", "two\n\nthree", "\u0301 \u0928\u092e\u0938\u094d\u0924\u0947"] * 500
    converted = data_convert(lines(texts), tmp_path / f"out{suffix}")
    assert list(read_documents(tmp_path / f"out{suffix}")) == texts
    assert converted.documents == len(texts)
    assert converted.bytes == (tmp_path / f"out{suffix}").stat().st_size


class Answer(io.BytesIO):
    """What a server says, whose headers say nothing of its size."""

    headers: ClassVar[dict[str, str]] = {}


def test_text_and_byte_arrays_are_copied_byte_for_byte(tmp_path: Path) -> None:
    data = ("A paragraph \u0928\u200d.\r\n\n\n \n" * 2_000).encode()
    (tmp_path / "a.txt").write_bytes(data)
    data_convert(str(tmp_path / "a.txt"), tmp_path / "a.npy")
    array = np.load(tmp_path / "a.npy")
    assert array.dtype == np.uint8 and array.tobytes() == data
    data_convert(str(tmp_path / "a.npy"), tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_bytes() == data


def test_documents_become_text_with_blank_lines_between(tmp_path: Path, lines: Callable[..., str]) -> None:
    data_convert(lines(["a", " ", "b\nc"]), tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "a\n\nb\nc"


def test_nothing_is_overwritten_or_left_half_written(tmp_path: Path, lines: Callable[..., str]) -> None:
    source = lines(["a"], "good.jsonl")
    target = tmp_path / "out.txt"
    target.write_text("precious")
    with pytest.raises(Error, match="--force"):
        data_convert(source, target)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "a"}\nnot json\n')
    with pytest.raises(Error, match="line 2"):
        data_convert(str(bad), target, force=True)
    assert target.read_text() == "precious"
    data_convert(source, target, force=True)
    assert target.read_text() == "a"
    with pytest.raises(Error, match="does not write '.pdf'"):
        data_convert(source, tmp_path / "out.pdf")
    with pytest.raises(Error, match="no document to write"):
        data_convert(lines([" "], "blank.jsonl"), tmp_path / "blank.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "blank.jsonl", "good.jsonl", "out.txt"]


def test_a_fetched_corpus_matches_its_manifest_and_trains_no_held_out_document(
    tmp_path: Path, lines: Callable[..., str], stories: list[str]
) -> None:
    fetched = data_fetch(lines([*stories, stories[0]]), tmp_path / "out")
    files = fetched.manifest["files"]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == fetched.manifest
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json", "train.jsonl.gz", "valid.jsonl.gz",
    ]  # fmt: skip
    for name, facts in files.items():
        path = tmp_path / "out" / name
        assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert facts["documents"] == len(list(read_documents(path)))
    train, valid = (set(read_documents(tmp_path / "out" / name)) for name in ("train.jsonl.gz", "valid.jsonl.gz"))
    assert train | valid == set(stories) and not train & valid
    corpus = load_corpus(str(tmp_path / "out/train.jsonl.gz"), valid=str(tmp_path / "out/valid.jsonl.gz"))
    assert set(documents(corpus.split("valid"))) == valid
    assert len(corpus.split("judge")) > 0  # the judge's share is still in train.jsonl.gz
    again = data_fetch(lines(stories), tmp_path / "again").manifest
    assert again["files"] == files and again["fingerprint"] == fetched.manifest["fingerprint"]
    with pytest.raises(Error, match="holds a corpus already"):
        data_fetch(lines(stories), tmp_path / "out")


def _archive(sha256: str) -> NamedCorpus:
    return NamedCorpus(
        about="stories",
        licence="MIT",
        train="https://host.invalid/x.zip",
        sha256=sha256,
        members=re.compile(r"x/stories-\d\.md"),
        document=NAMED["snakes-stories"].document,
    )


def test_downloads_are_checked_against_their_hash_and_cut_into_documents(
    tmp_path: Path, stories: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("x/stories-1.md", "".join(f"Ask.<start>{story}<end>\n" for story in stories))
        packed.writestr("x/other.md", "<start>not this one<end>")
    data = archive.getvalue()
    monkeypatch.setattr(fetch_module.urllib.request, "urlopen", lambda *_, **__: Answer(data))
    digest = hashlib.sha256(data).hexdigest()
    monkeypatch.setitem(NAMED, "mine", _archive(sha256=digest))
    manifest = data_fetch("mine", tmp_path / "mine").manifest
    assert manifest["sha256"] == digest and manifest["licence"] == "MIT"
    assert sum(facts["documents"] for facts in manifest["files"].values()) == len(stories)
    monkeypatch.setitem(NAMED, "mine", _archive(sha256="0" * 64))
    with pytest.raises(Error, match="SHA-256 .* has changed"):
        data_fetch("mine", tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_no_network_and_unknown_names_are_answered_with_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise fetch_module.urllib.error.URLError("no route")

    monkeypatch.setattr(fetch_module.urllib.request, "urlopen", unreachable)
    with pytest.raises(Error, match=r"cannot download https://.* \(no route\)"):
        data_fetch("tinyshakespeare", tmp_path / "out")
    with pytest.raises(Error, match="Did you mean 'tinystories'"):
        data_fetch("tinystory", tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(Error, match="is a file"):
        data_fetch("tinyshakespeare", tmp_path / "file")


def test_stats_count_the_tokens_of_the_valid_split(lines: Callable[..., str], stories: list[str]) -> None:
    plain = data_stats(lines(stories)).to_dict()
    assert plain["documents"] == 200 and plain["tokenizer"] is None
    measured = data_stats(lines(stories), tokenizer="bytes").to_dict()["tokenizer"]
    assert measured["tokens"] == plain["splits"]["valid"]["bytes"] and measured["bytes_per_token"] == 1
    assert data_stats(lines(stories), tokenizer="bpe", vocab_size=300).to_dict()["tokenizer"]["bytes_per_token"] > 1.2
