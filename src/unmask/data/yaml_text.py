"""YAML as our files have it: plain data without dates, no key twice. PyYAML takes the last of two without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast
_DEEPEST = 100
"""Lists within lists: libyaml goes down a call for each, without end."""
_MOST = 100_000
"""Values of a file, those that an alias stands for counted each time."""


class _Loader(_BASE):  # type: ignore[misc]
    """A safe loader that refuses a key that stands twice in one mapping, and reads a date as text."""

    yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in _BASE.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> Any:
        """Return the document, as the safe loader does.

        Raises:
            YAMLError: a key stands twice, or aliases make a file endless.
        """
        root = super().get_single_node()
        left, count = [root], 0
        while left:
            node, count = left.pop(), count + 1
            if count > _MOST:
                raise yaml.YAMLError(f"it holds more than {_MOST} values, or a list that holds itself")
            if isinstance(node, yaml.MappingNode):
                self._refuse_twice(node)
                left += [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                left += node.value
        return root

    def _refuse_twice(self, node: yaml.MappingNode) -> None:
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            merge = key.tag == "tag:yaml.org,2002:merge"
            name = (merge, key.value if merge else self.construct_object(key))  # 1 and 0x1 are one key, too
            line = key.start_mark.line + 1
            if name in lines:
                raise yaml.YAMLError(f"the key {key.value!r} stands in line {lines[name]} and {line}; keep one")
            lines[name] = line


class _Words(_Loader):
    """A loader to which every value is the text that was written."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [pair for pair in pairs if pair[0] in ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:null")]
        for first, pairs in _BASE.yaml_implicit_resolvers.items()
    }


def load_yaml(text: str, is_text: Callable[[tuple[str, ...]], bool] | None = None) -> Any:
    """Return what a YAML text holds.

    Args:
        text: The text.
        is_text: Tells of the keys on the way to a value whether it is a text, so that ``on`` and ``1_000`` are what was
            written there; keys are texts then, too. ``null`` is none everywhere.

    Raises:
        yaml.YAMLError: it is not YAML, a key stands twice, or brackets stand too deep.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_BASE):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError(f"more than {_DEEPEST} lists or mappings stand within each other")
    try:
        tree = yaml.load(text, Loader=_Loader)
        return tree if is_text is None else _with_words(tree, yaml.load(text, Loader=_Words), (), is_text)
    except ValueError as error:  # an integer of thousands of digits
        raise yaml.YAMLError(str(error)) from error


def _with_words(tree: Any, words: Any, path: tuple[str, ...], is_text: Callable[[tuple[str, ...]], bool]) -> Any:
    if isinstance(tree, dict):
        pairs = zip(words.items(), tree.values(), strict=True)
        return {key: _with_words(value, word, (*path, key), is_text) for (key, word), value in pairs}
    if isinstance(tree, list):
        return [_with_words(value, word, path, is_text) for value, word in zip(tree, words, strict=True)]
    return words if isinstance(words, str) and tree is not None and is_text(path) else tree
