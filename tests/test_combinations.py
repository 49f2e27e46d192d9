"""The page of what goes with what says what the code does: it is made by trying, and a change shows."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from unmask.sampling import Confidence

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def combinations(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.studies.combinations.write")


def test_the_page_is_what_the_code_does(combinations):
    assert combinations.main(["--check"]) == 0


def test_a_sampler_that_no_longer_drives_a_process_leaves_the_page(combinations, monkeypatch):
    before = combinations.tried("eco", "masked")
    monkeypatch.setattr(Confidence.Settings, "shows", "token")
    after = combinations.tried("eco", "masked")
    assert set(before.samplers) - set(after.samplers) == {"confidence"} and before.exports == after.exports == ("hub",)


def test_a_refusal_is_told_in_its_own_words(combinations, monkeypatch):
    pair = combinations.tried("eco", "causal")
    assert "set backbone=transformer" in pair.refused and not pair.samplers
    whole = combinations.tried("transformer", "masked")
    assert whole.warm_start == "yes" and combinations.tried("eco", "masked").warm_start == "no"


def test_a_step_is_really_taken_so_that_a_network_that_fails_stops_the_page(combinations, monkeypatch):
    from unmask.models.eco import Eco

    def broken(self, state):
        raise RuntimeError("this network does not run")

    monkeypatch.setattr(Eco, "_check", broken)
    with pytest.raises(RuntimeError, match="does not run"):
        combinations.tried("eco", "masked")
