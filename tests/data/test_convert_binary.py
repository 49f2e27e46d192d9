"""Any file goes to Bytropix's 1-D uint8 ``.npy`` and back, byte for byte; other arrays are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unmask.api.data import data_convert
from unmask.errors import Error

DATA = b"\xef\xbb\xbf\x00\xff text \r\n" + bytes(range(256)) * 9000  # a mark, zero bytes, no UTF-8; over a chunk


@pytest.mark.parametrize("suffix", [".bin", "", ".txt", ".npz"])
def test_any_file_survives_the_way_to_npy_and_back(suffix: str, tmp_path: Path) -> None:
    source = tmp_path / f"a{suffix}"
    source.write_bytes(DATA)
    told = data_convert(str(source), tmp_path / "a.npy", binary=True)
    array = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert array.dtype == np.uint8 and array.ndim == 1 and array.tobytes() == DATA
    assert told.bytes == (tmp_path / "a.npy").stat().st_size and told.documents == 1
    data_convert(str(tmp_path / "a.npy"), tmp_path / f"b{suffix}", binary=True)
    assert (tmp_path / f"b{suffix}").read_bytes() == DATA


def test_documents_go_to_npy_as_text(tmp_path: Path, lines: Callable[..., str]) -> None:
    data_convert(lines(["एक", "two"]), tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy").tobytes() == "एक\n\ntwo".encode()
    data_convert(str(tmp_path / "a.npy"), tmp_path / "a.jsonl")
    assert json.loads((tmp_path / "a.jsonl").read_text()) == {"text": "एक\n\ntwo"}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3), np.uint8), r"holds uint8 of shape \(2, 3\)"),
        (np.uint8(3), r"holds uint8 of shape \(\)"),
        (np.zeros(4, np.int8), "holds int8"),
        (np.zeros(4, np.int64), "holds int64"),
        (np.array([{"a": 1}], object), "is no NumPy file"),
        (np.zeros(0, np.uint8), "is empty|an empty array"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, message: str, binary: bool, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(Error, match=message) as caught:
        data_convert(str(tmp_path / "a.npy"), tmp_path / "b.txt", binary=binary)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_files_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3, np.uint8))
    (tmp_path / "a.npz").rename(tmp_path / "archive.npy")
    (tmp_path / "text.npy").write_bytes(b"hello")
    np.save(tmp_path / "cut.npy", np.arange(200, dtype=np.uint8))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-50])
    (tmp_path / "zip.npy").write_bytes(b"PK\x03\x04 no archive")
    for name, message in (("archive", "archive of arrays"), ("text", "no NumPy"), ("cut", "no NumPy"), ("zip", "no N")):
        for binary in (False, True):
            with pytest.raises(Error, match=message):
                data_convert(str(tmp_path / f"{name}.npy"), tmp_path / "b.txt", binary=binary)
    assert not (tmp_path / "b.txt").exists()


def test_binary_says_what_it_converts(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    (tmp_path / "empty").write_bytes(b"")
    np.save(tmp_path / "a.npy", np.zeros(3, np.uint8))
    with pytest.raises(Error, match="to or from .npy"):
        data_convert(str(tmp_path / "a.bin"), tmp_path / "b.bin", binary=True)
    with pytest.raises(Error, match="to or from .npy"):
        data_convert(str(tmp_path / "a.npy"), tmp_path / "b.npy", binary=True)
    with pytest.raises(Error, match="no file"):
        data_convert(str(tmp_path / "missing"), tmp_path / "b.npy", binary=True)
    with pytest.raises(Error, match="is empty|an empty array"):
        data_convert(str(tmp_path / "empty"), tmp_path / "b.npy", binary=True)
    (tmp_path / "b.npy").write_bytes(b"precious")
    with pytest.raises(Error, match="--force"):
        data_convert(str(tmp_path / "a.bin"), tmp_path / "b.npy", binary=True)
    data_convert(str(tmp_path / "a.bin"), tmp_path / "b.npy", binary=True, force=True)
    assert np.load(tmp_path / "b.npy").tolist() == [97]


def test_text_stays_strict_without_binary(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(Error, match="not UTF-8"):
        data_convert(str(tmp_path / "a.txt"), tmp_path / "a.npy")
    assert not (tmp_path / "a.npy").exists()


def test_the_command_line_converts(cli: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(DATA)
    ran = cli("data", "convert", tmp_path / "a.bin", tmp_path / "a.npy", "--binary", "--json")
    assert ran.status == 0 and json.loads(ran.out)["documents"] == 1
    assert np.load(tmp_path / "a.npy").tobytes() == DATA
    refused = cli("data", "convert", tmp_path / "a.bin", tmp_path / "c.npy")
    assert refused.status == 2 and refused.err.strip().count("\n") == 0
