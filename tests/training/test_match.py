"""Promises of matched sizes: equal parameters whatever the vocabulary, chosen and not typed in."""

from __future__ import annotations

import pytest
import torch

from unmask.errors import Error
from unmask.models.cost import parameter_count
from unmask.training.match import TOLERANCE
from unmask.training.network import make_model
from unmask.training.plan import plan
from unmask.training.recipe import load_recipe, parse_recipe


@pytest.mark.parametrize(
    ("eco", "rival"),
    [
        ("nano-eco", "nano-masked"),
        ("stories-small-eco", "stories-small-masked"),
        ("aria-eco", "aria-baseline"),
    ],
)
@pytest.mark.parametrize("extra", [[], ["backbone.memory_slots=32"], ["backbone.window_every=2"]], ids=str)
def test_eco_has_the_transformers_parameters_within_two_percent(eco, rival, extra):
    ours, theirs = plan(load_recipe(eco, extra)), plan(load_recipe(rival))
    assert abs(ours.parameters / theirs.parameters - 1) <= TOLERANCE == 0.02
    assert ours.tokens == theirs.tokens and ours.recipe.data == theirs.recipe.data
    assert ours.training_flops_per_token < theirs.training_flops_per_token


def test_the_match_holds_for_the_vocabulary_that_the_tokenizer_turns_out_to_have():
    for size in (300, 5000):
        counts = [parameter_count(make_model(load_recipe(name), size)) for name in ("nano-eco", "nano-masked")]
        assert counts[0] == pytest.approx(counts[1], rel=0.02)


def test_the_chosen_width_is_in_the_networks_configuration_and_round_where_it_can_be():
    config = make_model(load_recipe("stories-small-eco"), 4096).config
    assert config.intermediate_size % 64 == 0 and not hasattr(config, "match")


def test_a_rival_of_the_same_kind_is_matched_exactly():
    sizes = {"name": "transformer", "hidden_size": 64, "num_hidden_layers": 3}
    given = parse_recipe({"backbone": {**sizes, "match": {"name": "transformer", "intermediate_size": 320}}})
    with torch.device("meta"):
        assert make_model(given, 999).config.intermediate_size == 320


def test_a_recipe_that_matches_nothing_says_nothing_of_it():
    assert "match" not in load_recipe("nano-masked").model_dump()["backbone"]  # rows of older sweeps keep their ids


def test_seeds_own_names_are_aliases_inside_match_too():
    recipe = load_recipe("nano-eco", ["backbone.match={name: transformer, d_ff: 640}"])
    assert recipe.backbone.match == {"name": "transformer", "intermediate_size": 640}
    assert load_recipe("nano-eco", ["backbone.match.d_ff=640"]) == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("backbone.intermediate_size=3", "backbone.match chooses intermediate_size; leave it out"),
        ("backbone.match.name=3", "backbone.match needs the name of the network to match"),
        ("backbone.match={name: transformr}", "Did you mean 'transformer'?"),
        ("backbone.match.intermediate_siz=3", "backbone.match.intermediate_siz. Did you mean 'intermediate_size'?"),
        ("backbone.match.intermediate_size=wide", "recipe key backbone.match.intermediate_size is 'wide'"),
        ("backbone.match.hidden_size=16", "lower what it has besides"),
        ("backbone.match=3", "recipe key backbone.match is 3"),
    ],
)
def test_a_match_that_cannot_be_is_refused_with_the_fix(override, message):
    with pytest.raises(Error) as error:
        plan(load_recipe("nano-eco", [override]))
    assert message in str(error.value) and "\n" not in str(error.value)
