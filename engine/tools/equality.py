"""Equality of calls and of fields of objects, as a tool and a person compare them.

These make no difference: the order of keys, 1 and 1.0, a default and its absence, null and absence, case,
blanks and punctuation of texts, and arguments whose schema has ``"x-not-compared": true``. In texts with
digits punctuation does: 1.5 is not 15, nor -5 5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..answers.choosing import AnswerGroup
from ..types import NodeId
from .calls import Call, Tools
from .schema import Schema, unions_of

NOT_COMPARED = "x-not-compared"

_MARKS = re.compile(r"[\s,./\-_*^'\"]+")
_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BETWEEN_DIGITS = re.compile(rf"(?<=\d){_MARKS.pattern}(?=\d)")
_SIGN = re.compile(r"(?<!\w)-(?=\.?\d)")


def plain(text: str) -> str:
    """A text without case, blanks and the punctuation that BFCL ignores, unless nothing would be left."""
    return _MARKS.sub("", text).casefold() or text


def _key_of_text(text: str) -> str:
    """Like ``plain``, but keeps separators between digits and minus signs."""
    return plain(_SIGN.sub("\x00", _BETWEEN_DIGITS.sub("\x01", _SEPARATOR.sub("", text))))


def key_of(value: Any, schema: Schema) -> Hashable:
    """A key that is the same for equal values."""
    schema = of_object(schema)
    match value:
        case bool() | None:
            return str(value), None
        case int() | float():
            return "number", value
        case str():
            return "text", _key_of_text(value)
        case list():
            return "list", tuple(key_of(item, schema.get("items", {})) for item in value)
        case _:
            return "object", frozenset(
                (name, key_of(item, inner)) for name, item, inner in compared(value, schema)
            )


def of_object(schema: Schema) -> Schema:
    """The first object schema of a union, any other schema itself."""
    return next((each for each in unions_of(schema) if "properties" in each), schema)


def compared(value: Mapping[str, Any], schema: Schema) -> Iterator[tuple[str, Any, Schema]]:
    """Name, value and schema of each property that is compared; missing ones have their defaults."""
    properties = schema.get("properties", {})
    defaults = {name: each["default"] for name, each in properties.items() if "default" in each}
    values = {**defaults, **{name: item for name, item in value.items() if item is not None}}
    for name, item in values.items():
        inner = properties.get(name, {})
        if item is not None and not inner.get(NOT_COMPARED):
            yield name, item, inner


def key_of_calls(calls: Sequence[Call], tools: Tools) -> Hashable:
    """A key that is the same for equal sets of calls."""
    keys = [(call.name, key_of(call.arguments, tools[call.name].parameters)) for call in calls]
    return frozenset((key, keys.count(key)) for key in keys)


# Fields of a JSON object, and which readings of a text agree on each

if TYPE_CHECKING:
    import numpy as np  # a replay needs none

FieldVotes = Mapping[str, Sequence[tuple[NodeId, ...]]]
"""Groups of readings that agree, by field; those without the field form a group too."""


def fields_of(value: Mapping[str, Any], schema: Schema, place: str = "") -> Iterator[tuple[str, Hashable]]:
    """Name and key of each field of an object; equal fields have equal keys."""
    for name, item, inner in compared(value, of_object(schema)):
        if isinstance(item, dict):
            yield from fields_of(item, inner, f"{place}{name}.")
        else:
            yield f"{place}{name}", key_of(item, inner)


def votes_by_field(groups: Sequence[AnswerGroup], schema: Schema) -> FieldVotes:
    """The readings that agree on each field.

    Args:
        groups: Readings that agree on all fields; their answer is the object as JSON.
        schema: Schema of the object, without references.
    """
    readings = [(group.nodes, dict(fields_of(json.loads(group.answer), schema))) for group in groups]
    votes: dict[str, list[tuple[NodeId, ...]]] = {}
    for name in dict.fromkeys(name for _, fields in readings for name in fields):
        agreeing: dict[Hashable, tuple[NodeId, ...]] = {}
        for nodes, fields in readings:
            key = fields.get(name)
            agreeing[key] = (*agreeing.get(key, ()), *nodes)
        votes[name] = list(agreeing.values())
    return votes


def in_order(value: Any, schema: Schema) -> Any:
    """A value with the properties of its objects in the order of the schema, unknown ones last."""
    schema = of_object(schema)
    match value:
        case dict():
            properties = schema.get("properties", {})
            names = sorted(value, key=lambda name: [*properties, name].index(name))
            return {name: in_order(value[name], properties.get(name, {})) for name in names}
        case list():
            return [in_order(item, schema.get("items", {})) for item in value]
        case _:
            return value


def reordered(schema: Schema, rng: np.random.Generator) -> Schema:
    """The schema with the properties of its objects in a random other order."""
    changed = {name: part for name, part in schema.items() if name != "allOf"}
    if values := [*changed.get("properties", {}).items()]:
        items = [values[at] for at in rng.permutation(len(values))]
        if items == values:
            items.reverse()
        changed["properties"] = {name: reordered(each, rng) for name, each in items}
    if "items" in changed:
        changed["items"] = reordered(changed["items"], rng)
    for union in ("anyOf", "oneOf"):
        if union in changed:
            changed[union] = [reordered(each, rng) for each in changed[union]]
    return changed
