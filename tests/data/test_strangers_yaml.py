"""YAML from somebody else: it makes nothing but plain data, and takes no more memory than its text."""

from __future__ import annotations

import pytest
import yaml

from unmask.data.yaml_text import load_yaml

pytestmark = pytest.mark.strangers


def laughs(levels: int) -> str:
    names = [f"a{level}" for level in range(levels)]
    rest = (f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip(names, names[1:], strict=False))
    return "a0: &a0 [x]\n" + "".join(rest)


@pytest.mark.parametrize("text", ["[" * 60, "[" * 100_000, "{a: " * 100_000, laughs(12), "- " * 9999, "a: &a [*a]"])
def test_depth_and_aliases_are_bounded(text: str):
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!evil x"])
def test_tags_that_name_code_are_refused(tag: str):
    with pytest.raises(yaml.YAMLError):
        load_yaml(f"a: {tag}")


def test_aliases_and_merges_of_a_few_values_are_read():
    text = "base: &base {a: 1, b: 2}\nmore: &more {<<: *base, b: 3}\nlast: [*more, *base]\n"
    assert load_yaml(text)["last"] == [{"a": 1, "b": 3}, {"a": 1, "b": 2}]
