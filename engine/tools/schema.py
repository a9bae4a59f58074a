"""JSON schemas without references (``inlining``): checks values, and repairs their types.

It supports the keywords that tools use: types, enums, objects, lists, unions and bounds. Those in
``UNCHECKED``, such as ``pattern`` and ``format``, are left to the model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache, reduce
from typing import Any
from urllib.parse import unquote

from ..codec import nesting
from ..errors import UsageError

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


MAX_PARTS = 10_000
"""Largest number of schemas, values and required names in all schemas of a request, after references.

Reading them takes 20 ms, their grammar .3 s at most. A prompt has some ten tokens for each, so that more
would hardly fit a context.
"""

_DEEPEST = 12
"""Levels of schemas; any value is valid below them, as in a schema that contains itself."""

_UNIONS = ("anyOf", "oneOf")
_DEFS = ("$defs", "definitions")
_LEAST = ("minimum", "exclusiveMinimum", "minItems", "minLength", "minProperties")
_MOST = ("maximum", "exclusiveMaximum", "maxItems", "maxLength", "maxProperties")

OBJECT: Schema = {"type": "object"}
"""The schema of any object."""


def object_schema(schema: Any) -> Schema:
    """A schema that has to be of an object, as ``Inliner.read`` has it.

    Raises:
        UsageError: as ``Inliner.read``, or if it is of something else, or no object matches it.
    """
    return _object_schema(json.dumps(schema))


@lru_cache(maxsize=8)
def _object_schema(text: str) -> Schema:
    """``object_schema`` of a schema as JSON: every solution of a search asks for the same one."""
    inliner = Inliner()
    read = inliner.read(json.loads(text))
    if (types := types_of(read)) and types != ("object",):
        raise UsageError(f"the schema has to be of the type object, not {' or '.join(types)}")
    found = inliner.both(read, OBJECT)
    if found == NOTHING or (unions_of(found) and not inliner.alternatives(found)):
        raise UsageError("no object matches the schema, whose parts contradict each other")
    return found


class Inliner:
    """Resolves references in the schemas of one request, and combines schemas, within one ``MAX_PARTS``."""

    def __init__(self) -> None:
        self._root: Any = None
        self._parts = 0

    def read(self, schema: Any) -> Schema:
        """A whole schema with its references resolved and its ``allOf`` merged; may be ``NOTHING``.

        Raises:
            UsageError: it is invalid, or larger than ``MAX_PARTS``, or has two unions at one place.
        """
        self._root = schema
        return self._visit(schema, 0)

    def _visit(self, part: Any, depth: int) -> Schema:
        """Resolve a schema inside the root, ``depth`` levels deep."""
        self._count(1)
        if part is True or depth > _DEEPEST:
            return {}
        if part is False:
            return NOTHING
        if not isinstance(part, Mapping):
            raise UsageError(f"a schema has to be an object, not {json.dumps(part)[:40]}")
        _check_shape(part)
        self._count(sum(len(part.get(name, ())) for name in ("enum", "required")))
        pieces = [self._visit(each, depth + 1) for each in part.get("allOf", ())]
        if isinstance(reference := part.get("$ref"), str):
            pieces.append(self._visit(_found(self._root, reference), depth + 1))
        pieces.append(self._alone(part, depth + 1))
        for name in _UNIONS:
            if members := [self._visit(each, depth + 1) for each in part.get(name, ())]:
                possible = [each for each in members if each != NOTHING]
                pieces.append({name: possible} if possible else NOTHING)
        return reduce(self.both, pieces)

    def _alone(self, part: Schema, depth: int) -> Schema:
        """A schema without what is combined with it, with all schemas in it resolved."""
        apart = ("$ref", "allOf", *_UNIONS, *_DEFS)
        own = {name: each for name, each in part.items() if name not in apart}
        if isinstance(own.get("items"), list):  # until draft 7: schemas of the first items
            own["prefixItems"] = own.pop("items")
        if "prefixItems" in own:  # which is not checked, and ``items`` is of those behind them
            own.pop("items", None)
        if "properties" in own:
            own["properties"] = {name: self._visit(each, depth) for name, each in own["properties"].items()}
        for name in ("items", "additionalProperties"):
            if name in own:
                own[name] = self._visit(own[name], depth)
        if "const" in own:
            own["enum"] = [each for each in [own.pop("const")] if matches(each, own)]
        return _possible(own)

    def both(self, one: Schema, other: Schema) -> Schema:
        """A schema of the values that match both; ``NOTHING`` where none can.

        Objects have the properties of both, even where one of them allows no others. What is not compared,
        such as a description, is that of the other one.

        Raises:
            UsageError: both have a union, or a step; or there is too much to combine.
        """
        if not one or not other:
            return one or other
        self._count(1 + _size(one) + _size(other))
        joined = {**one, **other}
        for name in (name for name in one if name in other):
            if name in _JOINS:
                joined[name] = _JOINS[name](one[name], other[name])
            elif name in ("items", "additionalProperties"):
                joined[name] = self.both(one[name], other[name])
            elif name == "multipleOf" and one[name] != other[name]:
                raise UsageError("the schema combines two multipleOf")
        if unions_of(one) and unions_of(other):
            raise UsageError("the schema combines two unions (anyOf or oneOf), which is not supported")
        if (mine := one.get("properties")) and (theirs := other.get("properties")):
            shared = {name: self.both(mine[name], theirs[name]) for name in mine if name in theirs}
            joined["properties"] = {**mine, **theirs, **shared}
        return _possible(joined)

    def alternatives(self, schema: Schema) -> list[Schema]:
        """The schemas of a union, each with what stands beside it, but for those that no value matches."""
        base = {name: each for name, each in schema.items() if name not in _UNIONS}
        return [both for each in unions_of(schema) if (both := self.both(base, each)) != NOTHING]

    def _count(self, parts: int) -> None:
        self._parts += parts
        if self._parts > MAX_PARTS:
            raise UsageError(
                f"the schemas of a request may have {MAX_PARTS:,} parts together, with references"
            )


def _size(schema: Schema) -> int:
    return sum(len(schema.get(name, ())) for name in ("enum", "required", "properties", *_UNIONS))


def _possible(schema: Schema) -> Schema:
    """A schema with only those of its values that match the rest of it; ``NOTHING`` if no value can."""
    if values := schema.get("enum"):
        rest = {name: each for name, each in schema.items() if name != "enum"}
        schema = {**rest, "enum": [each for each in values if matches(each, rest)]}
    others, known = schema.get("additionalProperties", {}), schema.get("properties", {})
    lacks = any(known.get(name, others) == NOTHING for name in schema.get("required", ()))
    return NOTHING if lacks or [] in (schema.get("type"), schema.get("enum")) else schema


def _found(root: Any, reference: str) -> Schema:
    at: Any = root
    for part in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
        part = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(at, Sequence):
            at = next((each for index, each in enumerate(at) if str(index) == part), None)
        else:
            at = at.get(part) if isinstance(at, Mapping) else None
    if not isinstance(at, Mapping):
        raise UsageError(f"the schema refers to {reference[:60]}, which is not in it")
    return at


def _common_types(one: str | list[str], other: str | list[str]) -> list[str]:
    """The types that both name; one that JSON schema does not know stands for any."""
    named = [set(types_of({"type": each})) for each in (one, other)]
    named = [{*PLAIN_TYPES} if not each or each - {*PLAIN_TYPES} else each for each in named]
    named = [each | ({"integer"} if "number" in each else set()) for each in named]
    common = named[0] & named[1]
    return [name for name in PLAIN_TYPES if name in common and not (name == "integer" and "number" in common)]


def _common_values(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    keys = set(map(value_key, other))
    return [each for each in one if value_key(each) in keys]


_JOINS: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(_LEAST, max),
    **dict.fromkeys(_MOST, min),
    "type": _common_types,
    "enum": _common_values,
    "required": lambda one, other: [*dict.fromkeys((*one, *other))],
    "uniqueItems": lambda one, other: one is True or other is True,
}
"""Joins the values that a keyword has in two schemas to the value in one that holds for both."""

_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_SHAPES: Mapping[str, type | tuple[type, ...]] = {
    "type": (str, list),
    "enum": list,
    "properties": Mapping,
    "required": list,
    **dict.fromkeys(("allOf", *_UNIONS), list),
    **dict.fromkeys(_COUNTS, int),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (int, float)),
    "multipleOf": (int, float),
}


def _check_shape(schema: Schema) -> None:
    """Refuse a keyword whose value has the wrong type."""
    for name, form in _SHAPES.items():
        if name not in schema:
            continue
        value = schema[name]
        fits = isinstance(value, form) and not isinstance(value, bool)
        if name == "required":
            fits = fits and all(isinstance(each, str) for each in value)
        if not fits or (name in _COUNTS and value < 0):
            raise UsageError(f"{name} in the schema cannot be {json.dumps(value)[:40]}")
