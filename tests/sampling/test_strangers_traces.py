"""Traces and thought files from somebody else: damaged, of other kinds, or so large that no run wrote them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from unmask.errors import Error
from unmask.sampling.thought_file import read_thought
from unmask.sampling.trace import read_trace

pytestmark = pytest.mark.strangers

HEADER: dict[str, Any] = {
    "format": 1,
    "kind": "unmask-trace",
    "sampler": "ancestral",
    "run": "r",
    "vocabulary": {"pad": 0, "bos": 1, "eos": 2, "mask": 3},
    "requests": [{"length": 4, "index": 0, "settings": {}}],
    "created": "2026-01-01",
}
ROW: dict[str, Any] = {"request": 0, "step": 1, "set": [[0, 5, 0.5]], "length": 4}


def written(path: Path, header: dict[str, Any] | None = None, row: dict[str, Any] | None = None, **line: Any) -> Path:
    frame = {"rows": [{**ROW, **(row or {})}], "strings": {"5": "a"}, **line}
    lines = [{**HEADER, **(header or {})}, frame, {"end": 1}]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def refused(path: Path) -> str:
    with pytest.raises(Error) as found:
        read_trace(path)
    text = str(found.value)
    assert path.name in text and "\n" not in text and len(text) < 400
    return text


def test_a_whole_trace_is_read(tmp_path: Path):
    assert read_trace(written(tmp_path / "t")).texts() == ["a"]


@pytest.mark.parametrize(
    "header",
    [
        {"requests": [{"length": 10**12}]},
        {"requests": [{"length": 1 << 20}] * 99},
        {"requests": [{"length": "x"}]},
        {"requests": [{"length": -1}]},
        {"requests": {}},
        {"requests": 7},
        {"vocabulary": []},
        {"vocabulary": {**HEADER["vocabulary"], "mask": "x"}},
        {"vocabulary": {"mask": 3}},
        {"sampler": 7},
        {"run": None},
        {"created": []},
    ],
)
def test_a_header_of_other_kinds_or_sizes_is_one_line(header: dict[str, Any], tmp_path: Path):
    assert "is damaged" in refused(written(tmp_path / "t", header))


@pytest.mark.parametrize(
    "row",
    [
        {"set": [[-1, 5, 0.5]]},
        {"set": [[9, 5, 0.5]]},
        {"set": [[0, 10**30, 0.5]]},
        {"set": [[0, "x", 0.5]]},
        {"set": [[0, 5, "x"]]},
        {"set": 7},
        {"request": -1.5},
        {"request": 10**9},
        {"length": 10**12},
        {"length": "x"},
        {"step": "x"},
        {"candidates": [[0, [[5, "x"]]]]},
        {"candidates": 7},
    ],
)
def test_a_frame_of_other_kinds_is_one_line(row: dict[str, Any], tmp_path: Path):
    assert "is damaged" in refused(written(tmp_path / "t", row=row))


@pytest.mark.parametrize("strings", [{"5": 10**12}, {"5": [999]}, {"x": "a"}, [], {"5": {"x": 1}}, {}])
def test_strings_that_are_none_are_one_line(strings: Any, tmp_path: Path):
    assert "is damaged" in refused(written(tmp_path / "t", strings=strings))


def test_frames_that_would_take_all_memory_are_refused(tmp_path: Path):
    rows = [{**ROW, "set": [], "length": 1 << 22}] * 80
    path = written(tmp_path / "t", {"requests": [{"length": 1 << 22}]}, rows=rows)
    assert "its frames have more than" in refused(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 99999, b"7\n", b'{"a": 1' + b"0" * 5000 + b"}"])
def test_what_is_no_trace_is_one_line(content: bytes, tmp_path: Path):
    (tmp_path / "t").write_bytes(content)
    refused(tmp_path / "t")


def test_a_compressed_trace_that_is_damaged_is_one_line(tmp_path: Path):
    whole = gzip.compress(written(tmp_path / "t").read_bytes())
    (tmp_path / "t.gz").write_bytes(whole[:20] + b"\xff" * 20 + whole[40:])
    refused(tmp_path / "t.gz")


@pytest.mark.parametrize(
    "header",
    [b"", b"[" * 99999, b"[]", b"7", b'{"kind": "unmask-thought", "format": 1}', b'{"kind": 1, "format": "x"}'],
)
def test_a_thought_file_with_an_odd_header_is_one_line(header: bytes, tmp_path: Path):
    save_file({"tokens": torch.zeros(3, dtype=torch.int64)}, tmp_path / "t", {"unmask": header.decode()})
    with pytest.raises(Error) as found:
        read_thought(tmp_path / "t")
    assert "t" in str(found.value) and "\n" not in str(found.value) and len(str(found.value)) < 500


@pytest.mark.parametrize("options", [[], {"shape": [10**9, 10**9, 10**9]}, {"shape": "x"}, {"nothing": 1}])
def test_a_thought_file_with_odd_options_is_one_line(options: Any, tmp_path: Path):
    header = {"kind": "unmask-thought", "format": 1, "options": options, "space": True, "ended": False}
    header |= dict.fromkeys(("run", "weights", "tokenizer"), "x")
    save_file({"tokens": torch.zeros(3, dtype=torch.int64)}, tmp_path / "t", {"unmask": json.dumps(header)})
    with pytest.raises(Error, match="is damaged"):
        read_thought(tmp_path / "t")
