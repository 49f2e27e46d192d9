"""Settings at the ends of their ranges write text or are refused by name; no network is blamed for them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from unmask.api.sample import sample
from unmask.errors import Error
from unmask.sampling.registry import SAMPLERS
from unmask.training.run import Run

pytestmark = pytest.mark.strangers

NUMBERS = [-0.0, 5e-324, 1e-320, 1e-45, 1.0, 3.5e38, 1.7e308, float("inf"), float("nan")]
COUNTS = [0, 1, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(10**30)]
VALUES = {
    **dict.fromkeys(("temperature", "temperature_end", "top_p", "repetition_penalty", "entropy_budget"), NUMBERS),
    **dict.fromkeys(("confidence_noise", "confidence_stop", "remask_strength", "remask_start"), NUMBERS),
    **dict.fromkeys(("remask_stop", "remask_hold", "sure_above", "doubt_budget", "stable_nats"), NUMBERS),
    **dict.fromkeys(("top_k", "candidates", "seed", "stable_looks", "span"), COUNTS),
}


@pytest.mark.parametrize(
    "name", ["autoregressive", "speculative", "ancestral", "confidence", "entropy-bound", "remasking"]
)
def test_a_setting_at_an_end_of_its_range_writes_or_is_named(tiny_run: Path, tiny_masked_run: Path, name: str) -> None:
    facts = SAMPLERS.facts(name)
    run = Run.open(tiny_run if facts.visibility == "causal" else tiny_masked_run)
    rules = [{key: value} for key in facts.choices for value in get_args(facts.model_fields[key].annotation)]
    ways = [facts(**rule) for rule in ({}, *rules)]
    for key in sorted(set(facts.model_fields) & set(VALUES)):
        way = next(way.given for way in ways if key in way.known)  # some mean something under one of them only
        for value in VALUES[key]:
            try:
                found = sample(run, "The", max_tokens=3, sampler=name, **way, **{key: value})  # type: ignore[arg-type]
            except Error as error:
                assert str(error).startswith(f"{key} is {value}"), error
            else:
                assert len(found.texts) == 1
