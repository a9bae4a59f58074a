"""JSON schemas without references (``inlining``): checks values, and repairs their types.

It supports the keywords that tools use: types, enums, objects, lists, unions and bounds. Those in
``UNCHECKED``, such as ``pattern`` and ``format``, are left to the model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ..codec import nesting

Schema = Mapping[str, Any]

BOUNDS = frozenset((
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems",
    "minProperties", "maxProperties",
))  # fmt: skip
"""Keywords that a grammar cannot hold: they are checked when a value is complete."""

UNCHECKED = frozenset((
    "pattern", "format", "not", "if", "then", "else", "contains", "minContains", "maxContains", "prefixItems",
    "additionalItems", "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas",
    "dependencies", "unevaluatedItems", "unevaluatedProperties", "contentEncoding", "contentMediaType",
    "contentSchema",
))  # fmt: skip
"""Keywords that are not checked: matching a foreign pattern may never end."""

MOST_LEVELS = 32
"""Levels of a value, since values are compared recursively."""

PLAIN_TYPES = ("string", "integer", "number", "boolean", "null", "object", "array")
"""Types of JSON schema; schemas name others too (``any``, ``float``), which stand for any value."""

NOTHING: Schema = {"enum": []}
"""The schema that no value matches."""


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types that a schema names; empty for any."""
    named = schema.get("type", ())
    return (named,) if isinstance(named, str) else tuple(each for each in named if isinstance(each, str))


def unions_of(schema: Schema) -> Sequence[Schema]:
    """The schemas of which a value has to match one; empty without a union."""
    return next((schema[name] for name in ("anyOf", "oneOf") if schema.get(name)), ())


def keywords(schema: Schema) -> set[str]:
    """The keywords of a schema without references, and of all schemas in it."""
    others = [schema[name] for name in ("items", "additionalProperties") if name in schema]
    inner = [*schema.get("properties", {}).values(), *unions_of(schema), *others]
    return set(schema).union(*map(keywords, inner))


def matches(value: Any, schema: Schema) -> bool:
    """True if a value matches a schema."""
    types, unions = types_of(schema), unions_of(schema)
    if types and not any(_is_of(value, each) for each in types):
        return False
    if "enum" in schema and value_key(value) not in map(value_key, schema["enum"]):
        return False
    if unions and not _matches_union(value, unions, only_one="oneOf" in schema):
        return False
    match value:
        case dict():
            return _matches_object(value, schema)
        case list():
            return _matches_list(value, schema)
        case str():
            return _is_within(len(value), schema, "minLength", "maxLength")
        case int() | float() if not isinstance(value, bool):
            return _matches_number(value, schema)
    return True


def _matches_union(value: Any, unions: Sequence[Schema], *, only_one: bool) -> bool:
    matching = sum(matches(value, each) for each in unions)
    return matching == 1 or (matching > 1 and not only_one)


def _matches_object(value: Mapping[str, Any], schema: Schema) -> bool:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    if not all(matches(item, properties.get(name, others)) for name, item in value.items()):
        return False
    is_complete = all(name in value for name in schema.get("required", ()))
    return is_complete and _is_within(len(value), schema, "minProperties", "maxProperties")


def _matches_list(value: Sequence[Any], schema: Schema) -> bool:
    if schema.get("uniqueItems") is True and len(set(map(value_key, value))) < len(value):
        return False
    fits = all(matches(item, schema.get("items", {})) for item in value)
    return fits and _is_within(len(value), schema, "minItems", "maxItems")


def _matches_number(value: float, schema: Schema) -> bool:
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return False
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        return False
    step = schema.get("multipleOf")
    return _is_within(value, schema, "minimum", "maximum") and (not step or _is_multiple(value, step))


def _is_within(size: float, schema: Schema, least: str, most: str) -> bool:
    return bool(schema.get(least, -math.inf) <= size <= schema.get(most, math.inf))


def _is_multiple(value: float, step: float) -> bool:
    """True if the value is a multiple of the step, within rounding: 19.99 is one of 0.01."""
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    try:
        steps = value / step
        return abs(steps - round(steps)) <= 1e-9 * max(1.0, abs(steps))
    except (OverflowError, ValueError):  # beyond all floats, or no number
        return False


def value_key(value: Any) -> Hashable:
    """A key that is the same for values that are equal in JSON schema: 1 and 1.0, but not 1 and true."""
    match value:
        case dict():
            return frozenset((name, value_key(item)) for name, item in value.items())
        case list():
            return tuple(map(value_key, value))
        case _:
            return isinstance(value, bool), value


def _is_of(value: Any, name: str) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match name:
        case "string":
            return isinstance(value, str)
        case "integer":
            return is_number and (isinstance(value, int) or value.is_integer())
        case "number":
            return is_number
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "null":
            return value is None
        case _:  # "any", "float" and others that are no types of JSON schema
            return True


def as_json(value: Any) -> Any:
    """A Python value as JSON has it: tuples become lists, and keys texts.

    Raises:
        ValueError: JSON has no such value (a set, NaN), or it has more than ``MOST_LEVELS`` levels.
    """
    try:
        found = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if nesting(found) > MOST_LEVELS:
        raise ValueError(f"more than {MOST_LEVELS} levels")
    return found


def mended(value: Any, schema: Schema) -> Any:
    """A value with unambiguous type errors repaired: 1 for ``"1"``, ``"1"`` for 1, nothing for null."""
    if unions := unions_of(schema):
        tried = (value, *(mended(value, each) for each in unions))
        alone = {"anyOf": unions}  # what stands beside them is repaired below
        value = next((each for each in tried if matches(each, alone)), value)
    types = types_of(schema)
    if types and not any(_is_of(value, each) for each in types):
        value = next((found for each in types if (found := _turned(value, each)) is not None), value)
    if "enum" in schema and isinstance(value, str) and value not in schema["enum"]:
        spelled = (each for each in schema["enum"] if isinstance(each, str))
        value = next((each for each in spelled if each.casefold() == value.strip().casefold()), value)
    if isinstance(value, dict) and "properties" in schema:
        known, needed = schema["properties"], schema.get("required", ())
        return {
            name: mended(item, known.get(name, {}))
            for name, item in value.items()
            if item is not None or name in needed or matches(item, known.get(name, {}))
        }
    if isinstance(value, list):
        return [mended(item, schema.get("items", {})) for item in value]
    if "integer" in types and "number" not in types and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _turned(value: Any, name: str) -> Any:
    """A value converted to a type; None if that is ambiguous."""
    if name == "string":
        return json.dumps(value) if _is_of(value, "number") else None
    if not isinstance(value, str):
        return None
    try:
        read = as_json(json.loads(value.strip().lower() if name == "boolean" else value))
    except (ValueError, RecursionError):
        return None
    return read if read is not None and _is_of(read, name) else None
