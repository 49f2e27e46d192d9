"""Promises of a plan's questions: each choice is held against the row that differs in nothing else, by the rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unmask.api.sweep import sweep
from unmask.errors import Error
from unmask.sweeps.decisions import check_decisions
from unmask.sweeps.plan_files import parse_plan

RULES = ["bits_per_byte <= 1.5x", "bits_per_byte >= 100x"]


def plan_of(**more: Any) -> Any:
    grid = {"wide": {"yes": {"backbone.hidden_size": 24}, "no": {}}, "training.weight_decay": [0.0, 0.2]}
    samplers = [{"name": "autoregressive", "temperature": [0.5, 1.0]}, {"name": "autoregressive"}]
    return parse_plan({"name": "tiny", "recipes": ["nano-causal"], "grid": grid, "samplers": samplers, **more})


@pytest.fixture(scope="module")
def swept(tiny_plan: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    plan = tiny_plan(
        {"wide": {"yes": {"training.weight_decay": 0.2}, "no": {}}, "training.adam_beta1": [0.8, 0.9]},
        samplers=[{"name": "autoregressive", "temperature": [0.5, 1.0]}, {"name": "autoregressive"}],
        decide=[
            {"keep": {"wide": "yes"}, "against": {"wide": "no"}, "rules": RULES},
            {"keep": {"temperature": [0.5]}, "against": {"temperature": 1.0}, "rules": ["entropy >= 0.001x"]},
            {"keep": {"temperature": 0.5}, "against": {"temperature": None}, "rules": ["entropy <= 0.001x"]},
        ],
    )
    return sweep(plan, output=tmp_path_factory.mktemp("decided") / "sweep")


def test_a_row_is_held_against_the_one_that_differs_in_nothing_else(swept: Any) -> None:
    first, second = (one for one in swept.decisions if len(one.outcomes) == 2)
    assert (first.keep, first.against) == ("yes, adam_beta1=0.8", "no, adam_beta1=0.8")
    assert (second.keep, second.against) == ("yes, adam_beta1=0.9", "no, adam_beta1=0.9")
    near, far = first.outcomes
    assert near.met and near.interval is not None and far.met is False
    assert first.verdict == "drop"


def test_ways_to_sample_are_compared_within_a_row(swept: Any) -> None:
    ways = [one for one in swept.decisions if len(one.outcomes) == 1]
    assert len(ways) == 8  # four rows, two questions
    for one in ways:
        assert one.keep.split(":")[0] == one.against.split(":")[0]
        assert one.keep.endswith("temperature=0.5")
        assert one.verdict == ("keep" if one.against.endswith("temperature=1.0") else "drop")


def test_the_report_tells_the_decisions(swept: Any) -> None:
    said = (Path(swept.folder) / "table.md").read_text()
    assert "Decisions" in said and "DROP" in said


@pytest.mark.parametrize(
    ("keep", "against", "said"),
    [
        ({"wyde": "yes"}, {"wyde": "no"}, "wide"),
        ({"wide": "yes"}, {"training.weight_decay": 0.0}, "same axes"),
        ({"wide": "yess"}, {"wide": "no"}, "yes"),
        ({"wide": "yes", "temperature": 0.5}, {"wide": "no", "temperature": 1.0}, "one kind"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_by_name(
    keep: dict[str, Any], against: dict[str, Any], said: str
) -> None:
    with pytest.raises(Error, match=said):
        check_decisions(plan_of(decide=[{"keep": keep, "against": against, "rules": RULES}]))


def test_a_rule_that_cannot_be_read_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(Error, match="cannot be read"):
        check_decisions(plan_of(decide=[{"keep": {"wide": "yes"}, "against": {"wide": "no"}, "rules": ["fast"]}]))
