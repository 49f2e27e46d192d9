"""A JSON schema that asks for itself without end is found out, and no other."""

import pytest

from unmask.sampling.finite_schema import has_end

TREE = {"type": "object", "properties": {"left": {"$ref": "#"}}}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        TREE,
        {"type": "array", "items": {"$ref": "#"}},
        {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}, "minItems": 2}]},
        {"type": ["object", "null"], "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}},
        {"$ref": "http://example.org/other"},
    ],
)
def test_a_schema_with_a_finite_text_is_let_through(schema):
    assert has_end(schema)


@pytest.mark.parametrize(
    "schema",
    [
        TREE | {"required": ["left"]},
        {"$ref": "#"},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"type": "array", "prefixItems": [{"$ref": "#"}], "minItems": 1},
        {"type": "object", "additionalProperties": {"$ref": "#"}, "required": ["x"]},
        {"allOf": [{"type": "object"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"anyOf": [TREE | {"required": ["left"]}, {"$ref": "#"}]},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/b"}},
            "required": ["a"],
            "$defs": {"b": {"type": "array", "minItems": 1, "items": {"$ref": "#"}}},
        },
    ],
)
def test_a_schema_without_one_is_found_out(schema):
    assert not has_end(schema)
