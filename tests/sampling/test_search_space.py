"""What is searched is what the models of settings say: every answer is one that works, and a new setting is found."""

from __future__ import annotations

import random
from typing import Any, Literal

import pytest
from pydantic import Field

from unmask.sampling.registry import SAMPLERS
from unmask.sampling.search_space import LEFT, Room, kinds_of, plain_ways, suggest
from unmask.sampling.settings import ConfidenceSettings

ROOM = Room(64, 16, 8)


class Drawn:
    """Answers at random, and notes what it was asked."""

    def __init__(self, seed: int, name: str) -> None:
        self.random, self.name, self.asked = random.Random(seed), name, dict[str, Any]()

    def suggest_categorical(self, name, choices):
        self.asked[name] = choices
        return self.name if name == "sampler" else self.random.choice(choices)

    def suggest_int(self, name, low, high, *, log):
        self.asked[name] = (low, high)
        return self.random.randint(low, high)

    def suggest_float(self, name, low, high, *, log):
        self.asked[name] = (low, high)
        return self.random.uniform(low, high)


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_every_answer_makes_settings_that_work_and_all_that_means_something_is_asked(name):
    kind, asked = SAMPLERS.facts(name), set()
    for seed in range(60):
        drawn = Drawn(seed, name)
        settings = suggest(drawn, [kind], ROOM, {"ignore_eos": True})
        assert type(settings) is kind and settings.ignore_eos and set(settings.given) <= set(settings.known)
        asked |= {key.partition(".")[2].rstrip("?") for key in drawn.asked}
    assert asked - {""} == set(kind.model_fields) - set(LEFT)


def test_settings_of_another_rule_are_not_asked():
    for seed in range(20):
        drawn = Drawn(seed, "block")
        settings = suggest(drawn, [SAMPLERS.facts("block")], ROOM, {})
        assert ("block.entropy_budget" in drawn.asked) == (settings.rule == "entropy-bound")
        assert settings.block_size in (None, 1, 2, 4, 8) and settings.steps <= 32


class Newer(ConfidenceSettings):
    """Settings that are not there yet."""

    accept: Literal["count", "stable"] = Field("count", description="what is decided")
    stable_steps: int = Field(2, ge=1, description="how long it must not move")
    slack: float = Field(0.5, gt=0, description="no upper end")
    table: str | None = Field(None, description="a file")

    @property
    def known(self) -> tuple[str, ...]:
        return tuple(key for key in type(self).model_fields if key != "stable_steps" or self.accept == "stable")


def test_a_setting_that_is_new_is_searched_where_it_means_something_and_a_file_is_not():
    for seed in range(20):
        drawn = Drawn(seed, "confidence")
        settings = suggest(drawn, [Newer], ROOM, {})
        assert drawn.asked["confidence.accept"] == ["count", "stable"] and "confidence.table?" not in drawn.asked
        assert ("confidence.stable_steps" in drawn.asked) == (settings.accept == "stable")
        assert drawn.asked["confidence.slack"][0] > 0 and drawn.asked["confidence.slack"][1] == 2


@pytest.mark.parametrize("process", ["causal", "masked", "block", "uniform"])
def test_a_search_begins_with_each_sampler_at_its_defaults(process):
    kinds = kinds_of(process)
    begun = plain_ways(kinds, ROOM, {})
    assert {params["sampler"] for params in begun} == {kind.name for kind in kinds}
    plain = {params.get(f"{params['sampler']}.temperature") for params in begun}
    assert plain == {1.0} and all(not value for p in begun for key, value in p.items() if key.endswith("?"))
