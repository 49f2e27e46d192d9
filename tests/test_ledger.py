"""The page of ideas says what the results say, and a verdict follows from the interval alone."""

import importlib
import json
import math
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def ledger(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.studies.ledger.write")


def test_the_page_is_what_the_results_say(ledger):
    assert ledger.main(["--check"]) == 0


def test_every_row_of_the_ablation_is_in_the_ledger(ledger):
    import yaml

    entries = yaml.safe_load(ledger.ENTRIES.read_text())
    named = {entry[side] for entry in entries for side in ("row", "control") if side in entry}
    stored = json.loads((ledger.RESULTS / "ablate_masked.json").read_text())
    assert {key.split(" | ")[0] for key in stored["rows"]} <= named, "an idea that was tried is missing"


def entry_of(ledger, monkeypatch, tmp_path, row, control, **more):
    rows = {
        f"{name} | seed {i} | x": {"bits_per_byte": v}
        for name, vs in (("a", row), ("b", control))
        for i, v in enumerate(vs)
    }
    (tmp_path / "r.json").write_text(json.dumps({"rows": rows}))
    monkeypatch.setattr(ledger, "RESULTS", tmp_path)
    return ledger.measure({"file": "r.json", "row": "a", "control": "b", **more})


@pytest.mark.parametrize(
    ("row", "control", "verdict"),
    [
        ([1.0, 1.01, 0.99], [2.0, 2.01, 1.99], "helps"),
        ([2.0, 2.01, 1.99], [1.0, 1.01, 0.99], "hurts"),
        ([1.0, 2.0, 1.5], [1.1, 1.9, 1.6], "no difference shown"),
        ([1.0], [2.0, 2.1], "a lead: one value a side"),
    ],
)
def test_the_verdict_follows_from_the_interval(ledger, monkeypatch, tmp_path, row, control, verdict):
    effect = entry_of(ledger, monkeypatch, tmp_path, row, control)
    assert effect.verdict("lower") == verdict
    assert effect.verdict("higher") == {"helps": "hurts", "hurts": "helps"}.get(verdict, verdict)


@pytest.mark.parametrize("row", [[math.nan, 1.0], [1.0, math.inf], [math.nan]])
def test_a_value_that_is_not_finite_gets_no_verdict(ledger, monkeypatch, tmp_path, row):
    with pytest.raises(SystemExit, match="not finite"):
        entry_of(ledger, monkeypatch, tmp_path, row, [1.0, 2.0])
    with pytest.raises(SystemExit, match="not finite"):
        entry_of(ledger, monkeypatch, tmp_path, [1.0, 2.0], row)


def test_seeds_that_agree_to_the_last_digit_are_no_reason_to_call_it_worse(ledger, monkeypatch, tmp_path):
    same = entry_of(ledger, monkeypatch, tmp_path, [1.0, 1.0], [1.0, 1.0])
    assert same.interval == (0.0, 0.0) and same.verdict("lower") == "no difference shown"
    better = entry_of(ledger, monkeypatch, tmp_path, [1.0, 1.0], [2.0, 2.0])
    assert better.verdict("lower") == "helps" and better.verdict("higher") == "hurts"


def test_the_interval_is_welchs(ledger, monkeypatch, tmp_path):
    from scipy.stats import ttest_ind

    a, b = [1.0, 1.2, 1.1], [1.5, 1.9, 1.4, 1.6]
    effect = entry_of(ledger, monkeypatch, tmp_path, a, b)
    expected = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert effect.interval == pytest.approx((expected.low, expected.high))
