"""Promises of recipes: every packaged one is valid, unknown keys name the right one, aliases and bases resolve."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from unmask.errors import Error
from unmask.models.cost import parameter_count
from unmask.training.network import make_model
from unmask.training.plan import plan
from unmask.training.recipe import load_recipe, parse_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipe_is_valid_and_costed(name: str) -> None:
    cost = plan(load_recipe(name))
    share = 0.25 if cost.recipe.backbone.name == "bytes" else 0.5  # n-gram tables are looked up; patches are fewer
    assert cost.parameters > 0 and cost.training_flops_per_token > 6 * share * cost.parameters


@pytest.mark.parametrize("family", ["nano", "stories-small", "tinystories"])
def test_rivals_are_matched_by_construction(family: str) -> None:
    causal, masked = plan(load_recipe(f"{family}-causal")), plan(load_recipe(f"{family}-masked"))
    assert causal.parameters == masked.parameters
    assert causal.tokens == masked.tokens
    assert causal.recipe.data == masked.recipe.data


def test_plan_counts_the_parameters_that_training_will_have() -> None:
    recipe = load_recipe("nano-causal", ["data.tokenizer=bytes"])
    assert plan(recipe).parameters == parameter_count(make_model(recipe, 260))


def test_fresh_weights_depend_on_the_seed_alone() -> None:
    one, same, other = (make_model(load_recipe("nano-causal", [f"seed={s}"]), 300) for s in (1, 1, 2))
    assert torch.equal(one.embed.weight, same.embed.weight)
    assert not torch.equal(one.embed.weight, other.embed.weight)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainin.lr=1", "unknown recipe key 'trainin'. Did you mean 'training'?"),
        ("training.lerning_rate=1", "unknown recipe key training.lerning_rate. Did you mean 'learning_rate'?"),
        ("data.tokeniser=bpe", "unknown recipe key data.tokeniser. Did you mean 'tokenizer'?"),
        ("process.curiculum_start=0.1", "unknown recipe key process.curiculum_start. Did you mean 'curriculum_start'?"),
        ("backbone.hiden_size=8", "unknown recipe key backbone.hiden_size. Did you mean 'hidden_size'?"),
        ("sampler.step=8", "unknown recipe key sampler.step. Did you mean 'steps'?"),
        ("sampler.steps=0", "steps is 0; it must be at least 1."),
        ("sampler.name=confident", "unknown sampler 'confident'. Did you mean 'confidence'?"),
        ("process.name=maskd", "unknown process 'maskd'. Did you mean 'masked'?"),
        ("backbone.name=transformr", "unknown backbone 'transformr'. Did you mean 'transformer'?"),
        ("process.schedule=cosin", "unknown schedule 'cosin'. Did you mean 'cosine'?"),
        ("data.length=two", "recipe key data.length is 'two'"),
        ("training.max_steps=0", "recipe key training.max_steps is 0"),
        ("process.causal_warmup=1.5", "recipe key process.causal_warmup is 1.5"),
        ("backbone.hidden_size=100", "hidden_size 100 does not split into 4 heads"),
        ("backbone.output_shift=0", "process.causal_warmup needs backbone.output_shift=1"),
        ("seed", "override 'seed' must look like section.key=value."),
    ],
)
def test_wrong_key_or_value_is_answered_with_the_right_one(override: str, message: str) -> None:
    with pytest.raises(Error) as error:
        plan(load_recipe("nano-masked", [override]))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(Error, match="unknown recipe 'nano-mask'. Did you mean 'nano-masked'?"):
        load_recipe("nano-mask")


def test_seeds_own_names_are_aliases() -> None:
    recipe = load_recipe(
        "nano-causal", ["backbone.d_model=64", "training.batch_size=3", "training.lr=1e-4", "data.seq_len=64"]
    )
    assert recipe.backbone.model_extra is not None
    assert recipe.backbone.model_extra["hidden_size"] == 64
    assert recipe.training.per_device_train_batch_size == 3
    assert recipe.training.learning_rate == 1e-4
    assert recipe.data.length == 64


def test_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    recipe = load_recipe("nano-masked", ["training.lr=3e-4"])
    (tmp_path / "mine.yaml").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "mine.yaml") == recipe


def test_users_recipe_builds_on_a_packaged_one_and_on_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text("base: nano-masked\nseed: 7\n")
    (tmp_path / "second.yaml").write_text("base: first.yaml\nprocess: {schedule: cosine}\n")
    recipe = load_recipe(tmp_path / "second.yaml")
    assert (recipe.seed, recipe.name, recipe.process.model_extra["schedule"]) == (7, "second", "cosine")
    assert recipe.process.model_extra["causal_warmup"] == 0.4


def test_another_process_takes_none_of_its_rivals_options() -> None:
    assert load_recipe("nano-masked", ["process=causal"]).process.model_extra == {}


@pytest.mark.strangers
def test_another_process_takes_none_of_its_rivals_samplers() -> None:
    assert load_recipe("nano-masked").sampler.name == "ancestral"
    assert load_recipe("nano-masked", ["process=causal"]).sampler.name == ""
    named = ["sampler=autoregressive", "process=causal"]
    assert load_recipe("nano-masked", named).sampler.name == "autoregressive"
    assert load_recipe("nano-masked", named[::-1]).sampler.name == "autoregressive"
    assert load_recipe("nano-masked", ["process=masked"]).sampler.name == "ancestral"


def test_recipe_that_builds_on_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("base: b.yaml\n")
    Path("b.yaml").write_text("base: a.yaml\n")
    with pytest.raises(Error, match="builds on itself"):
        load_recipe("a.yaml")


def test_bad_yaml_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("data: [unclosed\nx: :\n")
    with pytest.raises(Error, match="is not valid YAML") as error:
        load_recipe(tmp_path / "bad.yaml")
    assert "\n" not in str(error.value)


def test_empty_recipe_is_the_default_one() -> None:
    assert parse_recipe({}).data.source == "pydocs"


@pytest.mark.strangers
@pytest.mark.parametrize("key", ["training.max_steps=yes", "training.weight_decay=off", "data.length=on", "seed=true"])
def test_a_switch_is_no_number(key):
    with pytest.raises(Error, match=f"recipe key {key.partition('=')[0]} is (True|False)"):
        load_recipe("nano-causal", [key])
