"""A small index, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from roots.small_corpus import lines, write
from unmask.api.index import build_index


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 documents, the last of which is long."""
    texts = lines(239)
    return write(tmp_path_factory.mktemp("corpus") / "all.jsonl", [*texts, " ".join(lines(40, seed=9))])


@pytest.fixture(scope="session")
def built(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its index. Shared by all tests: do not change it."""
    folder = tmp_path_factory.mktemp("index") / "built"
    build_index(str(corpus), folder, shelves=6, embedder="wordllama-64", passage=512)
    return folder
