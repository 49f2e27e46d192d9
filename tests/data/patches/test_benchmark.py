"""The benchmark of patches runs, stores what it was taken on, and its control knows nothing. No time is asserted."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def patching(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.studies.patches.patching")


def test_it_runs_and_its_control_knows_nothing(patching, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert patching.main(["--quick", "--results", str(tmp_path / "r.json")]) == 0
    stored = json.loads((tmp_path / "r.json").read_text())
    assert stored["date"] and stored["hardware"]["cpu"] and stored["versions"]["numpy"]
    text, trigrams = stored["texts"]
    (rows,) = trigrams["tables"].values()
    used = {row["hash"]: row["rows used"] for row in rows}
    assert used["byte_ngrams"] > 0.98 * used["by chance"] > 4 * used["Bytropix"]
    assert all(row["unit"] == "MB/s" and min(row["samples"]) > 0 for row in text["rows"])
    (ladder,) = (rows for heading, rows in text["tables"].items() if heading.startswith("bits a byte"))
    assert {"order 1", "order 6", "xz -9e, tail alone"} < {row["model"] for row in ladder}
    (hard,) = (rows for heading, rows in text["tables"].items() if heading.startswith("first bytes"))
    found = {row["patcher"]: row for row in hard}
    babylon, chance = found["babylon, threshold"], found["random, lengths of babylon, threshold"]
    assert babylon["entropy, first"] > 2 * babylon["entropy, others"]
    assert chance["entropy, first"] < 1.5 * chance["entropy, others"]
    assert "too small to judge" not in capsys.readouterr().out


def test_a_source_is_asked_for(patching, capsys: pytest.CaptureFixture[str]) -> None:
    assert patching.main([]) == 2
    assert "--source" in capsys.readouterr().err
