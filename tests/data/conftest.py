"""A cache of its own for every test, and small text files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("UNMASK_CACHE", str(folder))
    return folder


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., str]:
    """Write texts as JSON lines and return the path."""

    def write(texts: Sequence[str], name: str = "corpus.jsonl.gz") -> str:
        path = tmp_path / name
        data = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(path)

    return write


@pytest.fixture
def stories() -> list[str]:
    """Two hundred different short documents."""
    return [f"Story {n}.\n\nThe {n}th fox met owl number {n * 7 % 31}; they shared some tea." for n in range(200)]
