"""Files that a comparison, a sweep or a reader left, and that are not as ours are: one line that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unmask.errors import Error
from unmask.readers.blind import KEY
from unmask.readers.preference import tally
from unmask.reports.finished_parts import PARTS, PLAN, Parts
from unmask.sweeps.advance import ROW, SCORE, read_row
from unmask.sweeps.score import read_score

pytestmark = pytest.mark.strangers

DEEP = "[" * 200_000


@pytest.mark.parametrize("content", ["", DEEP, "[]", '{"status": 3}', '{"steps": "x"}', '{"points": {"x": 1}}'])
def test_a_row_that_is_none_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / ROW).write_text(content)
    with pytest.raises(Error, match="row.json"):
        read_row(tmp_path)


@pytest.mark.parametrize("content", ["", DEEP, "[]", "{}", '{"key": [], "bits_per_byte": "x"}'])
def test_a_score_that_is_none_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / SCORE).write_text(content)
    with pytest.raises(Error, match="evaluation.json"):
        read_score(tmp_path)


@pytest.mark.parametrize("content", ["", DEEP, "[]", "null"])
def test_parts_of_a_plan_that_is_none_are_told(content: str, tmp_path: Path) -> None:
    (tmp_path / PARTS).mkdir()
    (tmp_path / PARTS / PLAN).write_text(content)
    with pytest.raises(Error, match="plan.json cannot be read"):
        Parts(tmp_path, print).begin({}, resume=True)


@pytest.mark.parametrize("content", ["", DEEP, "[]", "null", '"x"'])
def test_a_part_that_is_none_is_measured_again(content: str, tmp_path: Path) -> None:
    (tmp_path / PARTS).mkdir()
    (tmp_path / PARTS / "a.json").write_text(content)
    said: list[str] = []
    assert Parts(tmp_path, said.append).get("a", dict[str, int], lambda: {"x": 1}) == {"x": 1}
    assert "measuring it again" in said[0]


@pytest.mark.parametrize(
    "change",
    [
        {"pairs": []},
        {"pairs": [{"id": [], "left": 0, "prompt": "a"}]},
        {"pairs": [{"id": "p", "left": 7, "prompt": "a"}]},
        {"pairs": [{"id": "p", "left": 0, "prompt": []}]},
        {"criteria": [{"name": {}}]},
        {"runs": 3},
        {"format": "x"},
    ],
)
def test_a_key_of_choices_that_is_none_is_told(change: dict[str, Any], tmp_path: Path) -> None:
    key = {
        "format": 1,
        "page": "x",
        "pairs": [{"id": "p", "left": 0, "prompt": "a"}],
        "criteria": [{"name": "better"}],
        "runs": [{"name": "a"}, {"name": "b"}],
    }
    (tmp_path / KEY).write_text(json.dumps(key | change))
    choices = tmp_path / "choices.json"
    choices.write_text(json.dumps({"format": 1, "page": "x", "session": "s", "choices": {"p": {"better": "left"}}}))
    with pytest.raises(Error, match="key.json is damaged"):
        tally(tmp_path, [choices])
    choices.write_text(DEEP)
    (tmp_path / KEY).write_text(json.dumps(key))
    with pytest.raises(Error, match="choices.json is damaged"):
        tally(tmp_path, [choices])
