"""``unmask data`` through the command line: results on stdout, one line for a mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unmask.cli.app import run


def test_stats_fetch_and_convert_print_one_json_object(
    lines: Callable[..., str], stories: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = lines(stories)
    assert run(["data", "stats", source, "--tokenizer", "bytes", "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)
    assert stats["documents"] == 200 and stats["tokenizer"]["vocab_size"] == 260 and len(stats["fingerprint"]) == 12
    assert run(["data", "fetch", source, "--output", str(tmp_path / "out"), "--json"]) == 0
    fetched = json.loads(capsys.readouterr().out)
    assert set(fetched["files"]) == {"train.jsonl.gz", "valid.jsonl.gz"}
    assert run(["data", "convert", str(tmp_path / "out"), str(tmp_path / "all.parquet"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 200


def test_the_table_shows_every_split_and_the_fingerprint(
    lines: Callable[..., str], stories: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "stats", lines(stories), "--tokenizer", "bytes"]) == 0
    shown = capsys.readouterr().out
    for word in ("fingerprint", "train", "valid", "judge", "1.00 bytes a token"):
        assert word in shown


@pytest.mark.parametrize("arguments", [["stats", "no-such.txt"], ["convert", "no-such.txt", "out.jsonl"]])
def test_a_mistake_is_one_line_and_status_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "error: no data source 'no-such.txt'" in captured.err
