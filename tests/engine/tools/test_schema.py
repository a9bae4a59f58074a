"""Checking and comparing arguments: as jsonschema checks them, and as a tool could tell them apart."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.errors import UsageError
from adascale.engine.tools.calls import Call, Tool, ToolRequest
from adascale.engine.tools.equality import in_order, key_of, key_of_calls
from adascale.engine.tools.grammar import grammar_of_object
from adascale.engine.tools.schema import MAX_PARTS, SchemaReader, matches, object_schema

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from([0.5, 1.0, -2.5])
    | st.sampled_from(["", "x", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
LEAVES = st.sampled_from(
    [
        {},
        {"type": "string"},
        {"type": "integer"},
        {"type": "number", "minimum": 0},
        {"type": ["boolean", "null"]},
        {"enum": ["x", 1, None]},
        {"const": True},
        {"type": "string", "minLength": 1, "maxLength": 1},
        {"exclusiveMaximum": 1},
        {"type": "array", "uniqueItems": True},
        {"minProperties": 1, "maxProperties": 2},
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
        | st.builds(
            lambda schema, name, others: {**schema, name: others},
            inner,
            st.sampled_from(["allOf", "anyOf", "oneOf"]),
            st.lists(inner, min_size=1, max_size=2),
        )
        | st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(NAMES, inner, max_size=3),
                "required": st.lists(NAMES, unique=True, max_size=2),
                "additionalProperties": st.booleans(),
            }
        )
    ),
    max_leaves=5,
)


@given(VALUES, SCHEMAS)
def test_what_matches_is_what_jsonschema_takes_of_the_schema_as_it_was(
    value: Any, schema: dict[str, Any]
) -> None:
    fits = matches(value, SchemaReader().read(schema))
    assert fits == jsonschema.Draft202012Validator(schema).is_valid(value)


def _nested(depth: int) -> dict[str, Any]:
    """A schema whose parts stand beside a union at every level."""
    inner = _nested(depth - 1) if depth else {"type": "string"}
    return {
        "type": "object",
        "properties": {"a": inner},
        "required": ["a"],
        "anyOf": [{}, {"required": ["a"]}] * 4,
    }


def test_unions_at_every_level_take_no_longer_than_one() -> None:
    value = json.loads('{"a": ' * 12 + '"x"' + "}" * 12)
    began = time.process_time()
    reading = object_schema(_nested(11))
    grammar_of_object(reading)
    assert matches(value, reading)
    assert time.process_time() - began < 1.0


def test_unions_beside_many_properties_are_refused_at_once() -> None:
    fields = [f"p{n}" for n in range(2000)]
    schema = {"properties": {name: {} for name in fields}, "anyOf": [{"required": [name]} for name in fields]}
    reading = object_schema(schema)
    began = time.process_time()
    with pytest.raises(UsageError, match="unions"):
        grammar_of_object(reading)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("combined", [{"allOf": [{"$ref": "#/$defs/a"}]}, {"$ref": "#/$defs/a"}])
def test_fields_of_a_combined_schema_are_written_and_put_in_order(combined: dict[str, Any]) -> None:
    place = {"properties": {"city": {"type": "string"}, "zone": {}}, "required": ["city"]}
    schema = object_schema({**combined, "properties": {"n": {}}, "$defs": {"a": place}})
    assert [*in_order({"n": 1, "zone": 2, "city": 3}, schema)] == ["city", "zone", "n"]
    assert all(f'{name}\\":' in grammar_of_object(schema) for name in ("city", "zone", "n"))


REFERRING = {
    "type": "object",
    "properties": {"place": {"$ref": "#/$defs/Place"}, "way": {"allOf": [{"$ref": "#/$defs/Way"}]}},
    "$defs": {
        "Place": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "Way": {"enum": ["air", "rail"]},
    },
}
TREE = {
    "type": "object",
    "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "value", "is_right"),
    [
        (REFERRING, {"place": {"city": "Rome"}, "way": "air"}, True),
        (REFERRING, {"way": "sea"}, False),
        (
            {"properties": {"n": {"$ref": "#/$defs/a%20b", "minimum": 2}}, "$defs": {"a b": {"minimum": 1}}},
            {"n": 1},
            False,
        ),
        ({"properties": {"n": {"items": False}}}, {"n": [1]}, False),
        (TREE, {"children": [{"children": []}]}, True),
        (TREE, {"children": [{"name": 1}]}, False),
        ({"$ref": "#/$defs/a", "not": {"required": ["b"]}, "$defs": {"a": {}}}, {"b": 1}, False),
        ({"properties": {"n": {"items": [{"type": "string"}]}}}, {"n": [1]}, False),
        ({"anyOf": [{"minProperties": 1}], "oneOf": [{"maxProperties": 1}]}, {"a": 1, "b": 1}, False),
    ],
)
def test_references_and_combined_schemas_are_put_in_place(
    schema: dict[str, Any], value: Any, is_right: bool
) -> None:
    assert matches(value, SchemaReader().read(schema)) == is_right


@pytest.mark.parametrize("schema", [{"items": [{}]}, {"prefixItems": [{}], "items": False}])
def test_first_items_are_not_taken_for_all(schema: dict[str, Any]) -> None:
    assert matches([1, 2], SchemaReader().read(schema))


EVIL = {"pattern": "(a+)+$", "$schema": "http://json-schema.org/draft-07/schema#"}


@pytest.mark.parametrize(
    "schema",
    [
        EVIL,
        {"allOf": [EVIL], "propertyNames": EVIL, "unevaluatedProperties": False},
        {"patternProperties": {"(a+)+$": False}, "additionalProperties": EVIL},
        {"if": EVIL, "then": {"format": "regex"}},
    ],
)
def test_no_pattern_of_a_stranger_is_matched(schema: dict[str, Any]) -> None:
    text = "a" * 60 + "!"
    began = time.process_time()
    assert matches(text, SchemaReader().read(schema))
    assert matches({text: text}, SchemaReader().read(schema))
    assert time.process_time() - began < 1.0


def _wide(width: int, depth: int) -> dict[str, Any]:
    """A schema that doubles with every level that is put in place."""
    levels = {
        f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * width, "type": "object"} for n in range(depth)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**levels, f"d{depth}": {}}}


@pytest.mark.parametrize(
    "schema",
    [
        _wide(8, 8),
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.com/schema.json"},
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": None}},
        {"properties": {"a": {"$ref": "#b"}}, "$defs": 3, "allOf": [4]},
        {"$id": "https://example.com/", "$ref": "other.json"},
        {"properties": {"a": 3}},
        {"properties": {"a": {"enum": 3}}},
        {"$ref": f"#/required/{'9' * 5000}", "required": ["a"]},
        {"properties": {"a": {"type": "string", "minLength": True}}},
        {"properties": {"a": {"type": "array", "maxItems": -1}}},
        {"dependentRequired": {"a": 3}},
        {"enum": [*range(MAX_PARTS)]},
        {"anyOf": [{}] * MAX_PARTS},
    ],
)
def test_a_schema_that_is_none_or_too_large_is_refused_at_once(schema: dict[str, Any]) -> None:
    began = time.process_time()
    with pytest.raises(UsageError, match="the tool search: "):
        Tool.of({"function": {"name": "search", "parameters": schema}})
    assert time.process_time() - began < 1.0


def test_all_tools_of_a_request_have_one_budget() -> None:
    parameters = {"type": "object", "properties": {f"p{n}": {} for n in range(100)}}
    tools = [{"function": {"name": f"f{n}", "parameters": parameters}} for n in range(MAX_PARTS // 100)]
    assert ToolRequest.of({"messages": [], "tools": tools[:20]}).tools
    with pytest.raises(UsageError, match="together"):
        ToolRequest.of({"messages": [], "tools": tools})
    with pytest.raises(UsageError, match="may have 128"):
        ToolRequest.of({"messages": [], "tools": [{"function": {"name": f"f{n}"}} for n in range(129)]})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
    ],
)
def test_a_schema_that_no_object_matches_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        object_schema(schema)


SCHEMA = SchemaReader().read(
    {
        "properties": {
            "n": {"type": "number"},
            "unit": {"type": "string", "default": "C"},
            "note": {"type": "string", "x-not-compared": True},
        }
    }
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"n": 1, "city": "Rome"}, {"city": "Rome", "n": 1.0}, True),
        ({"n": 1}, {"n": 1, "unit": "F"}, False),
        ({"city": "New York, NY"}, {"city": "new york ny"}, True),
        ({"n": None}, {}, True),
        ({"n": 1}, {"n": True}, False),
        ({"n": 1}, {"n": "1"}, False),
        ({"note": "one"}, {"note": "two"}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": "1.5 l"}, {"a": "15 l"}, False),
        ({"a": "-5"}, {"a": "5"}, False),
        ({"a": "2024-01-11"}, {"a": "2024/01/11"}, True),
    ],
)
def test_arguments_are_compared_as_a_tool_reads_them(one: Any, other: Any, same: bool) -> None:
    assert (key_of(one, SCHEMA) == key_of(other, SCHEMA)) == same


@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=2), max_size=3), st.randoms())
def test_calls_of_a_turn_are_compared_as_a_set(arguments: list[dict[str, Any]], random: Any) -> None:
    tools = {"t": Tool.of({"function": {"name": "t"}})}
    calls = [Call("t", each) for each in arguments]
    shuffled = [Call("t", dict(random.sample(list(c.arguments.items()), len(c.arguments)))) for c in calls]
    random.shuffle(shuffled)
    again = [Call(call.name, json.loads(json.dumps(call.arguments))) for call in shuffled]
    assert key_of_calls(calls, tools) == key_of_calls(again, tools)
    assert not calls or key_of_calls(calls, tools) != key_of_calls(calls[1:], tools)
