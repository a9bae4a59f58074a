"""Fields of a JSON object, and which readings of a text agree on each of them.

A field is a value inside nested objects, with a name such as ``address.city``; a list is one field. A reading
is one solution: the object that a model wrote for a text. ``equality`` says which fields are equal.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..answers.choosing import AnswerGroup
from ..types import NodeId
from .equality import compared, key_of, of_object
from .schema import Schema

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
    found = [(group.nodes, dict(fields_of(json.loads(group.answer), schema))) for group in groups]
    votes: dict[str, list[tuple[NodeId, ...]]] = {}
    for name in dict.fromkeys(name for _, fields in found for name in fields):
        agreeing: dict[Hashable, tuple[NodeId, ...]] = {}
        for nodes, fields in found:
            key = fields.get(name)
            agreeing[key] = (*agreeing.get(key, ()), *nodes)
        votes[name] = list(agreeing.values())
    return votes


def in_order(value: Any, schema: Schema) -> Any:
    """A value with the properties of its objects in the order of the schema, unknown ones last."""
    match value:
        case dict():
            properties = of_object(schema).get("properties", {})
            names = sorted(value, key=lambda name: [*properties, name].index(name))
            return {name: in_order(value[name], properties.get(name, {})) for name in names}
        case list():
            return [in_order(item, schema.get("items", {})) for item in value]
        case _:
            return value


def reordered(schema: Schema, rng: np.random.Generator) -> Schema:
    """The schema with the properties of its objects in a random other order."""
    changed = dict(schema)
    if properties := schema.get("properties"):
        known = list(properties)
        names = [known[at] for at in rng.permutation(len(known))]
        if names == known:
            names.reverse()
        changed["properties"] = {name: reordered(properties[name], rng) for name in names}
    if "items" in schema:
        changed["items"] = reordered(schema["items"], rng)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            changed[union] = [reordered(each, rng) for each in schema[union]]
    return changed
