"""A key that stands twice is an error with its line wherever YAML is read; a text stays the text that was typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import unmask
from unmask.data.yaml_text import load_yaml
from unmask.errors import Error
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
