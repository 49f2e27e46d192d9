"""What is known of parts without torch is what they say themselves; values and files of recipes are read as meant."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError
from transformers import TrainingArguments

from unmask.data.yaml_text import load_yaml
from unmask.diffusion.registry import PROCESSES, SCHEDULES
from unmask.errors import Error
from unmask.models.backbones import BACKBONES
from unmask.models.options import config_options
from unmask.readers.prompts import load_rubric
from unmask.reports.decide import read_rules
from unmask.sampling.registry import SAMPLERS
from unmask.sweeps.plan_files import load_plan
from unmask.training.find_run import find_run, missing_run
from unmask.training.recipe import load_recipe
from unmask.training.trainer_keys import ELSEWHERE, trainer_kinds


@pytest.mark.parametrize("name", list(PROCESSES))
def test_the_facts_of_a_process_are_its_own(name):
    process, facts = PROCESSES.get(name), PROCESSES.facts(name)
    assert process.Options is facts
    assert (process.name, process.visibility, process.shows, process.sampler) == (
        name,
        facts.visibility,
        facts.shows,
        facts.sampler,
    )


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_the_facts_of_a_sampler_are_its_own(name):
    assert SAMPLERS.get(name).Settings is SAMPLERS.facts(name) and SAMPLERS.facts(name).name == name


@pytest.mark.parametrize("name", list(BACKBONES))
def test_the_configuration_of_a_network_is_its_options(name):
    backbone = BACKBONES.get(name)
    assert issubclass(backbone.config, backbone.keys) and backbone.config.model_type == backbone.keys.model_type
    assert config_options(backbone.config) == backbone.options
    plain, published = backbone.keys(hidden_size=64), backbone.config(hidden_size=64)
    assert {key: getattr(plain, key) for key in backbone.options} == {
        key: getattr(published, key) for key in backbone.options
    }


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_every_schedule_is_where_its_line_says(name):
    assert SCHEDULES.get(name).__name__ == name


def test_the_trainer_has_the_fields_that_are_read_off_its_source():
    assert set(trainer_kinds()) == {f.name for f in fields(TrainingArguments) if f.init} - set(ELSEWHERE)


def test_a_field_of_the_trainer_takes_its_own_default():
    for field in fields(TrainingArguments):
        if field.name in trainer_kinds() and isinstance(field.default, bool | int | float | str):
            TypeAdapter(trainer_kinds()[field.name]).validate_python(field.default)
    with pytest.raises(ValidationError):
        TypeAdapter(trainer_kinds()["max_steps"]).validate_python("many")
    assert type(None) in get_args(trainer_kinds()["tf32"])


@pytest.mark.parametrize(
    "text", ["stories #2", "on", "1_000", "2024-01-01", "*.jsonl", "@x", "a: b", "[x]", "null", "1e-3", "~"]
)
def test_a_value_for_a_text_key_is_text(text):
    recipe = load_recipe("nano-causal", [f"data.source={text}", f"data.text_field={text}", f"name={text}"])
    assert (recipe.data.source, recipe.data.text_field, recipe.name) == (text, text, text)


def test_other_values_are_yaml_and_quotes_are_not_part_of_a_text():
    given = [
        "data.source='a b'",
        "data.valid=null",
        "data.vocab_size=1_000",
        "training.lr=1e-4",
        "process={name: causal}",
    ]
    recipe = load_recipe("nano-causal", given)
    assert (recipe.data.source, recipe.data.valid, recipe.data.vocab_size) == ("a b", None, 1000)
    assert recipe.training.learning_rate == 1e-4


TWICE = "the key 'data' stands in line 2 and 3; keep one"


@pytest.mark.parametrize("read", [load_recipe, load_plan, read_rules, load_rubric])
def test_a_key_that_stands_twice_is_named_with_its_lines(tmp_path, read):
    path = tmp_path / "twice.yaml"
    path.write_text("base: nano-masked\ndata: {source: text.jsonl}\ndata: {length: 32}\n")
    with pytest.raises(Error, match=TWICE):
        read(path)


def test_keys_of_different_mappings_and_merged_ones_may_be_alike():
    text = "a: &x {k: 1}\nb: {<<: *x, k: 2}\nc: [{k: 1}, {k: 2}]\n"
    assert load_yaml(text) == yaml.safe_load(text)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("runs/causal", "runs/demo/masked", "runs/a/twin", "runs/b/twin", "here"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "run.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("causal", "runs/causal"),
        ("runs/causal", "runs/causal"),
        ("demo/masked", "runs/demo/masked"),
        ("masked", "runs/demo/masked"),
        ("here", "here"),
        ("nowhere", None),
        ("../causal", None),
    ],
)
def test_a_run_is_found_by_its_name(runs, name, place):
    found = find_run(name)
    assert (None if found is None else str(found)) == place


def test_a_folder_here_comes_before_one_below_runs_unless_it_is_no_run(runs):
    (runs / "causal").mkdir()
    assert str(find_run("causal")) == "runs/causal"
    (runs / "causal" / "run.json").write_text("{}")
    assert str(find_run("causal")) == "causal"


def test_an_ambiguous_name_lists_the_runs_that_have_it(runs):
    with pytest.raises(Error, match=r"several runs: runs/a/twin, runs/b/twin\. Say which"):
        find_run("twin")


def test_a_missing_name_says_the_nearest_run_or_lists_what_there_is(runs):
    assert missing_run("causl").endswith("Did you mean runs/causal?")
    assert "There are: runs/a/twin, runs/b/twin, runs/causal, runs/demo/masked, here." in missing_run("zzzzzzz")
