"""Whether a JSON schema has a finite text at all: one that asks for itself inside itself is never done.

A schema is finite if all that it asks for is. That is the least fixed point: nothing is finite at first, and what is
grows until it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_ALL, _ONE = ("allOf",), ("anyOf", "oneOf")


def has_end(schema: Mapping[str, Any]) -> bool:
    """Tell whether some finite text may be valid under a schema; references elsewhere than into it are believed."""
    targets = {ref: _at(schema, ref) for ref in _references(schema)}
    finite = {ref: target is None for ref, target in targets.items()}
    while True:
        grown = {ref: finite[ref] or _finite(target, finite) for ref, target in targets.items()}
        if grown == finite:
            return _finite(schema, finite)
        finite = grown


def _references(node: Any) -> set[str]:
    found, left = set(), [node]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            if isinstance(one.get("$ref"), str):
                found.add(one["$ref"])
            left += one.values()
        elif isinstance(one, list):
            left += one
    return found


def _at(schema: Any, ref: str) -> Any:
    """Return what a reference of the form ``#/a/b`` names; ``None``: it is of another form, or names nothing."""
    if ref != "#" and not ref.startswith("#/"):
        return None
    for key in ref.split("/")[1:]:
        key = unquote(key).replace("~1", "/").replace("~0", "~")
        if isinstance(schema, list) and key.isdigit() and int(key) < len(schema):
            schema = schema[int(key)]
        elif isinstance(schema, Mapping) and key in schema:
            schema = schema[key]
        else:
            return None
    return schema


def _finite(node: Any, known: Mapping[str, bool]) -> bool:
    if not isinstance(node, Mapping):
        return True
    if isinstance(ref := node.get("$ref"), str) and not known[ref]:
        return False
    for key in _ALL:
        if isinstance(node.get(key), list) and not all(_finite(one, known) for one in node[key]):
            return False
    for key in _ONE:
        if isinstance(node.get(key), list) and not any(_finite(one, known) for one in node[key]):
            return False
    kinds = node.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "const" in node or "enum" in node or not isinstance(kinds, list) or set(kinds) - {"object", "array"}:
        return True
    ways = {"object": _object, "array": _array}
    return not kinds or any(ways[kind](node, known) for kind in kinds if kind in ways)


def _object(node: Mapping[str, Any], known: Mapping[str, bool]) -> bool:
    required, named = node.get("required", []), node.get("properties", {})
    if not isinstance(required, list) or not isinstance(named, Mapping):
        return True
    rest = node.get("additionalProperties", True)
    return all(_finite(named.get(key, rest), known) for key in required)


def _array(node: Mapping[str, Any], known: Mapping[str, bool]) -> bool:
    least, first, rest = node.get("minItems", 0), node.get("prefixItems", []), node.get("items", True)
    if not isinstance(least, int) or not isinstance(first, list):
        return True
    return all(_finite(one, known) for one in first[:least]) and (least <= len(first) or _finite(rest, known))
