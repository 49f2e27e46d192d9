"""Promises of a plan: its figures are those of the network that learns, and no other one is built to count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from unmask.api.sweep import plan_sweep
from unmask.data.vocabulary import Vocabulary
from unmask.errors import Error
from unmask.models.cost import parameter_count
from unmask.models.stored import StoredNetwork
from unmask.sweeps.plan_files import parse_plan
from unmask.training.network import make_model
from unmask.training.plan import plan
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.train import train


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The networks that were built since, by their class."""
    names: list[str] = []
    real = StoredNetwork.__init__

    def counted(self: StoredNetwork, config: object) -> None:
        names.append(type(self).__name__)
        real(self, config)  # type: ignore[arg-type]

    monkeypatch.setattr(StoredNetwork, "__init__", counted)
    return names


@pytest.mark.parametrize(
    "name", ["nano-causal", "nano-uniform", "nano-sparse", "nano-eco", "nano-bytes", "nano-thought"]
)
def test_a_plans_figures_are_those_of_the_network_that_it_builds(name: str) -> None:
    recipe = load_recipe(name)
    words = Vocabulary(size=260 if recipe.data.tokenizer == "bytes" else 512)
    known = plan(recipe, words)
    network = known.network()
    length = recipe.data.length if recipe.thought is None else recipe.thought.passage + 1
    assert known.parameters == parameter_count(network) and known.vocab_size == network.config.vocab_size == words.size
    flops = known.process.training_flops(lambda asked: network.flops(length, asked))
    assert known.training_flops_per_token == flops
    assert known.tokens == known.tokens_per_step * recipe.training.max_steps


def test_a_plan_draws_the_same_weights_at_each_call_and_keeps_its_configuration() -> None:
    recipe = load_recipe("nano-causal", ["data.tokenizer=bytes"])
    known = plan(recipe)
    one = known.network()
    one.config.vocab_size = 3
    for other in (known.network(), make_model(recipe, 260)):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert known.config.vocab_size == 260


def test_a_plan_for_the_words_that_a_tokenizer_has_is_made_anew_only_where_they_are_others(built: list[str]) -> None:
    recipe = load_recipe("nano-masked")
    known = plan(recipe)
    assert known.for_words(Vocabulary(size=2048)) == known and built == ["Transformer"]
    assert known.for_words(Vocabulary(size=300)) == plan(recipe, Vocabulary(size=300)) != known


def test_a_plan_that_lasts_longer_is_that_of_as_many_steps(built: list[str]) -> None:
    known = plan(load_recipe("nano-causal", ["training.epochs=2"]))
    other = plan(load_recipe("nano-causal", ["training.max_steps=77"]))
    assert known.tokens is None and known.lasting(77) == other and len(built) == 2
    short = plan(load_recipe("nano-causal", ["training.lr_scheduler_type=polynomial", "training.warmup_steps=2"]))
    with pytest.raises(Error, match="no learning rate at step 2 of 2"):
        short.lasting(2)


def test_training_builds_its_network_and_counts_it_once(tiny: Callable[..., Recipe], tmp_path: Path, built) -> None:
    run = train(tiny("nano-masked", "training.max_steps=1"), tmp_path / "run")
    assert built == ["Transformer", "Transformer"]  # one without memory, which is counted, and the one that learns
    known = plan(run.recipe, run.tokenizer.vocabulary)
    told = run.manifest
    assert told["parameters"] == known.parameters
    assert told["training_flops"] == known.training_flops_per_token * known.tokens_per_step


def test_a_sweep_plans_each_row_with_one_network(built: list[str]) -> None:
    grid = {"training.learning_rate": [0.001, 0.002], "backbone.hidden_size": [32, 64]}
    asked = {"name": "many", "recipes": ["nano-causal"], "grid": grid, "budget": {"flops": 1e12}}
    preview = plan_sweep(parse_plan(asked))
    assert len(preview.rows) == len(built) == 4
    for row in preview.rows:
        known = row.cost
        assert known is not None and known == plan(known.recipe)
        assert known.training_flops == pytest.approx(1e12, rel=0.01)


def test_a_matched_width_is_worked_out_once_for_a_plan(built: list[str]) -> None:
    known = plan(load_recipe("nano-eco"))
    assert sorted(built) == ["Eco", "Eco", "Eco", "Transformer"]  # two widths and the rival, and then the network
    assert known.network().config.intermediate_size == known.config.intermediate_size and len(built) == 5
