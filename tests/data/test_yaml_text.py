"""A key that stands twice is an error with its line wherever YAML is read; a text stays the text that was typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import unmask
from unmask.data.yaml_text import load_yaml
from unmask.errors import Error
from unmask.readers.prompts import load_rubric
from unmask.sweeps.expand import in_words
from unmask.sweeps.plan_files import load_plan
from unmask.training.recipe import load_recipe
from unmask.training.values import read_value

TWICE = "base: nano-masked\ndata: {source: text.jsonl}\ndata: {length: 32}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TWICE, "'data' stands in line 2 and 3"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "'b' stands in line 2 and 4"),
        ("- {a: 1, a: 2}", "'a' stands in line 1 and 1"),
    ],
)
def test_a_key_that_stands_twice_is_named_with_its_lines(text: str, told: str) -> None:
    with pytest.raises(yaml.YAMLError, match=re.escape(told)):
        load_yaml(text)


def test_a_mapping_may_replace_what_it_takes_from_another() -> None:
    assert load_yaml("x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}")["y"] == {"a": 3, "b": 2}


def test_a_recipe_with_a_key_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(TWICE)
    with pytest.raises(Error, match="'data' stands in line 2 and 3"):
        load_recipe(tmp_path / "r.yaml")


def test_no_yaml_is_read_in_another_way() -> None:
    """PyYAML's own loaders take the last of two keys without a word."""
    read = re.compile(r"yaml\.(safe_|full_|unsafe_)?load(_all)?\(")
    package = Path(unmask.__file__).parent
    assert {path.name for path in package.rglob("*.py") if read.search(path.read_text())} == {"yaml_text.py"}


TEXTS = ["on", "no", "1_000", "2024-01-01", "*.jsonl", "@x", "stories #2", "12:30", "1e3", "a: b"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("key", ["data.source", "name"])
def test_the_value_of_a_text_is_what_was_typed(key: str, text: str) -> None:
    assert read_value(key, text) == text


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("training.max_steps", "1_000", 1000),
        ("training.learning_rate", "1e-3", 0.001),
        ("data.source", "'in quotes'", "in quotes"),
        ("data.binary", "true", True),
    ],
)
def test_other_values_are_yaml(key: str, text: str, value: object) -> None:
    assert read_value(key, text) == value


@pytest.mark.strangers
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n  <<: {s: 1, s: 2}\n", "'s' stands in line 2 and 2"),
        ("x: &x {a: 1}\ny: {<<: *x, <<: *x}\n", "'<<' stands in line 2 and 2"),
        ("1: 2\n0x1: 3\n", "'0x1' stands in line 1 and 2"),
        ("true: 2\non: 1\n", "'on' stands in line 1 and 2"),
        ("a: &a [*a]", "a list that holds itself"),
        ("a: &a {b: *a}", "a list that holds itself"),
        (
            "a0: &a0 [1, 2]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)),
            "holds more",
        ),
        ("[" * 200_000, "more than 100 lists"),
        ("- " * 200_000, "more than 100 lists"),
        ("n: " + "9" * 5000, "4300 digits"),
        ('a: "\\ud83d\\ude00"', "invalid Unicode character escape"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_yaml_that_hides_something_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError, match=re.escape(told)):
        load_yaml(text)
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(Error, match="r.yaml is not valid YAML") as caught:
        load_recipe(tmp_path / "r.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.strangers
def test_a_date_is_text() -> None:
    assert load_yaml("name: 2024-01-01\nat: 2024-01-01 10:00:00") == {"name": "2024-01-01", "at": "2024-01-01 10:00:00"}


@pytest.mark.strangers
@pytest.mark.parametrize(
    "text", ["'a' and 'b'", "'", '"it\'s" and "that"', "it's", "'tis", "caf\u00e9 \U0001f600", "a\tb"]
)
def test_quotes_within_a_text_are_text(text: str) -> None:
    assert read_value("data.source", text) == text


@pytest.mark.strangers
def test_a_plan_says_its_values_as_they_were_written() -> None:
    assert in_words(["\U0001f600", 1]) == '["\U0001f600", 1]' and in_words("on") == "on"


@pytest.mark.strangers
def test_texts_of_recipes_plans_and_rubrics_are_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "base: nano-masked\nname: on\nabout: 2024-01-01\ntraining: {max_steps: 1_000}\n"
        "data: {<<: {source: 1_000}, valid: yes, binary: no, tokenizer: 12:30}\n"
    )
    recipe = load_recipe(tmp_path / "r.yaml")
    assert (recipe.name, recipe.about, recipe.training.max_steps) == ("on", "2024-01-01", 1000)
    data = recipe.data
    assert (data.source, data.valid, data.binary, data.tokenizer) == ("1_000", "yes", False, "12:30")
    (tmp_path / "p.yaml").write_text(
        "recipes: [2024]\nset: {data: {source: on}}\ngrid: {data.valid: [on, 1_0], net: {off: {data.text_field: yes}}}"
    )
    plan = load_plan(tmp_path / "p.yaml")
    assert (plan.recipes, plan.set) == (["2024"], {"data": {"source": "on"}})
    assert plan.grid == {"data.valid": ["on", "1_0"], "net": {"off": {"data.text_field": "yes"}}}
    (tmp_path / "c.yaml").write_text("criteria: [{name: on, question: 1_0}]")
    assert [(each.name, each.question) for each in load_rubric(tmp_path / "c.yaml")] == [("on", "1_0")]
