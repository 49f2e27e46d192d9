"""What is written for the user has the permissions that the user's umask says, whichever library wrote it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import unmask
from unmask.data.cache import built
from unmask.data.ngram import ByteNgram
from unmask.data.ngram_file import save_ngram
from unmask.training import checkpoints
from unmask.training.ema import EMA


@pytest.fixture
def masked():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def others(folder: Path, masked: int) -> dict[str, str]:
    """Return the files and folders whose permissions are others than a plain open() or mkdir() gives."""
    expected = {path: (0o777 if path.is_dir() else 0o666) & ~masked for path in folder.rglob("*")}
    assert expected
    return {
        str(path.relative_to(folder)): oct(path.stat().st_mode & 0o777)
        for path, mode in expected.items()
        if path.stat().st_mode & 0o777 != mode
    }


def test_runs_exports_checkpoints_indexes_and_counts_are_as_open_as_umask_says(tiny_run, tmp_path, masked):
    unmask.export(tiny_run, tmp_path / "hub", format="hub")
    unmask.export(tiny_run, tmp_path / "llama", format="llama")
    (tmp_path / "partial").mkdir()
    EMA(torch.nn.Linear(2, 2), 0.9).save(tmp_path / "partial")
    checkpoints.seal(tmp_path / "partial", tmp_path / "checkpoint-1")
    built(tmp_path / "kept", lambda folder: (folder / "file").touch(mode=0o600))
    save_ngram(ByteNgram(2).fit([b"abcabc"]), tmp_path / "counts.safetensors")
    assert others(tmp_path, masked) == {}


def test_a_trained_run_is_readable_as_any_file_of_the_user(tiny_run):
    usual = os.umask(0o077)
    os.umask(usual)
    assert others(tiny_run, usual) == {}
