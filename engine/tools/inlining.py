"""One JSON schema without references and ``allOf``: what each place of a value has to be, stated there.

A union stays beside what holds for all of its schemas; ``Inliner.alternatives`` puts both together for a
grammar, which would forget the one or the other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from itertools import product
from typing import Any
from urllib.parse import unquote

from ..errors import UsageError
from .schema import NOTHING, PLAIN_TYPES, Schema, matches, types_of, unions_of, value_key, values_of

MAX_NODES = 1000
"""Largest number of schemas inside a tool's schema, after references: its grammar takes half a second."""

_MAX_PAIRS = 50 * MAX_NODES
"""Largest number of properties and values that are compared with another schema, since unions multiply."""

_MAX_KEPT = 1 << 14
"""Characters of a schema that is kept: a longer one is read each time."""

_DEEPEST = 12
"""Levels of schemas; any value is valid below them, as in a schema that contains itself."""

_UNIONS = ("anyOf", "oneOf")
_DEFS = ("$defs", "definitions")
_LEAST = ("minimum", "exclusiveMinimum", "minItems", "minLength", "minProperties")
_MOST = ("maximum", "exclusiveMaximum", "maxItems", "maxLength", "maxProperties")


OBJECT: Schema = {"type": "object"}
"""The schema of any object."""


def inlined(schema: Any, *others: Schema) -> Schema:
    """A schema with its references resolved and its ``allOf`` merged, and with others; may be ``NOTHING``.

    Raises:
        UsageError: it is invalid, or larger than ``MAX_NODES``.
    """
    text = json.dumps([schema, *others])
    return _inlined(text) if len(text) <= _MAX_KEPT else _inlined.__wrapped__(text)


@lru_cache(maxsize=256)
def _inlined(text: str) -> Schema:
    """``inlined`` of a list of schemas as JSON: every solution of a search asks for the same ones."""
    schema, *others = json.loads(text)
    inliner = Inliner(schema)
    return reduce(inliner.both, others, inliner.visit(schema, 0))


def object_schema(schema: Any) -> Schema:
    """The same of a schema that has to be of an object.

    Raises:
        UsageError: as ``inlined``, or if it is of something else, or no object matches it.
    """
    if (types := types_of(inlined(schema))) and types != ("object",):
        raise UsageError(f"the schema has to be of the type object, not {' or '.join(types)}")
    found = inlined(schema, OBJECT)
    if found == NOTHING or (unions_of(found) and not Inliner(found).alternatives(found)):
        raise UsageError("no object matches the schema, whose parts contradict each other")
    return found


class Inliner:
    """Resolves the references in a schema, and combines schemas.

    Args:
        root: The whole schema.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._nodes = self._pairs = 0

    def visit(self, part: Any, depth: int) -> Schema:
        """Resolve a schema inside the root, ``depth`` levels deep."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise UsageError(f"the schema has more than {MAX_NODES:,} parts")
        if part is True or depth > _DEEPEST:
            return {}
        if part is False:
            return NOTHING
        if not isinstance(part, Mapping):
            raise UsageError(f"a schema has to be an object, not {json.dumps(part)[:40]}")
        pieces = [part]
        for piece in pieces:
            if isinstance(reference := piece.get("$ref"), str):
                depth += 1
                if depth > _DEEPEST:
                    return {}
                pieces.append(_found(self._root, reference))
        return reduce(self.both, (self._without_references(piece, depth) for piece in reversed(pieces)))

    def _without_references(self, part: Schema, depth: int) -> Schema:
        """A schema whose own reference is resolved elsewhere, with all in it resolved."""
        _check_shape(part)
        apart = ("$ref", "allOf", *_UNIONS, *_DEFS)
        own = _of_2020({name: each for name, each in part.items() if name not in apart})
        found: Schema = {}
        for piece in part.get("allOf", ()):
            found = self.both(found, self.visit(piece, depth + 1))
        inside = {name: self._inside(name, each, depth + 1) for name, each in own.items()}
        found = self.both(found, _possible(inside))
        for name in _UNIONS:
            if members := [self.visit(each, depth + 1) for each in part.get(name, ())]:
                possible = [each for each in members if each != NOTHING]
                found = self.both(found, {name: possible} if possible else NOTHING)
        return found

    def _inside(self, name: str, value: Any, depth: int) -> Any:
        """The value of a keyword, with the schemas in it."""
        if name == "properties":
            return {key: self.visit(each, depth) for key, each in value.items()}
        if name == "items" and isinstance(value, Mapping | bool):
            return self.visit(value, depth)
        is_schema = name == "additionalProperties" and isinstance(value, Mapping)
        return self.visit(value, depth) if is_schema else value

    def both(self, one: Schema, other: Schema) -> Schema:
        """A schema of the values that match both; ``NOTHING`` where none can.

        Of two unions it is the union of all pairs. What is not compared, such as a description, is that of
        the other one.
        """
        if not one or not other:
            return one or other
        base, sides = self._joined(_alone(one), _alone(other)), (unions_of(one), unions_of(other))
        if base == NOTHING or not any(sides):
            return base
        if all(sides):
            members = [both for pair in product(*sides) if (both := self.both(*pair)) != NOTHING]
            return {**base, "anyOf": members} if members else NOTHING
        return {**base, **{name: each[name] for each in (one, other) for name in _UNIONS if each.get(name)}}

    def alternatives(self, schema: Schema) -> list[Schema]:
        """The schemas of a union, each with what stands beside it, but for those that no value matches."""
        base = _alone(schema)
        return [both for each in unions_of(schema) if (both := self.both(base, each)) != NOTHING]

    def _joined(self, one: Schema, other: Schema) -> Schema:
        """``both`` of two schemas without unions."""
        joined = {**one, **other}
        sizes = (len(each.get("properties", ())) + len(each.get("enum", ())) for each in (one, other))
        self._pairs += 1 + sum(sizes)
        if self._pairs > _MAX_PAIRS:
            raise UsageError(f"the schema combines more than {_MAX_PAIRS:,} parts")
        shared = one.keys() & other.keys()
        joined |= {name: max(one[name], other[name]) for name in _LEAST if name in shared}
        joined |= {name: min(one[name], other[name]) for name in _MOST if name in shared}
        if "type" in shared:
            joined["type"] = _common_types(one, other)
        if "required" in shared:
            joined["required"] = [*dict.fromkeys((*one["required"], *other["required"]))]
        if "uniqueItems" in shared:
            joined["uniqueItems"] = one["uniqueItems"] is True or other["uniqueItems"] is True
        if "multipleOf" in shared and all(isinstance(each["multipleOf"], int) for each in (one, other)):
            joined["multipleOf"] = math.lcm(one["multipleOf"], other["multipleOf"])
        if "items" in shared and all(isinstance(each["items"], Mapping) for each in (one, other)):
            joined["items"] = self.both(one["items"], other["items"])
        if (mine := values_of(one)) is not None and (theirs := values_of(other)) is not None:
            joined.pop("const", None)
            keys = set(map(value_key, theirs))
            joined["enum"] = [each for each in mine if value_key(each) in keys]
        strict = _possible({**joined, **self._properties_of_both(one, other)})
        if strict != NOTHING or all(
            each.get("additionalProperties", True) is not False for each in (one, other)
        ):
            return strict
        # Each forbids what the other requires. Who writes that means an object with the properties of both.
        known = [
            {name: each[name] for name in each if name != "additionalProperties"} for each in (one, other)
        ]
        return _possible({**joined, **self._properties_of_both(*known), "additionalProperties": False})

    def _properties_of_both(self, one: Schema, other: Schema) -> Schema:
        """``properties`` and ``additionalProperties``; a property that one lacks is an additional one there.

        A property that cannot be there is left out where no additional ones may be.
        """
        known = [each.get("properties", {}) for each in (one, other)]
        others = [_as_schema(each.get("additionalProperties", True)) for each in (one, other)]
        found = {
            name: self.both(*(own.get(name, more) for own, more in zip(known, others, strict=True)))
            for name in dict.fromkeys((*known[0], *known[1]))
        }
        beside = self.both(*others)
        if beside == NOTHING:
            found = {name: each for name, each in found.items() if each != NOTHING}
        joined: dict[str, Any] = {}
        if any(known):
            joined["properties"] = found
        if any("additionalProperties" in each for each in (one, other)):
            joined["additionalProperties"] = False if beside == NOTHING else beside
        return joined


def _alone(schema: Schema) -> Schema:
    """A schema without its union."""
    return {name: each for name, each in schema.items() if name not in _UNIONS}


def _possible(schema: Schema) -> Schema:
    """A schema with only those of its values that match the rest of it; ``NOTHING`` if no value can."""
    if (values := values_of(schema)) is not None:
        schema = {name: schema[name] for name in schema if name not in ("const", "enum")}
        schema["enum"] = [each for each in values if matches(each, schema)]
    others, known = _as_schema(schema.get("additionalProperties", True)), schema.get("properties", {})
    lacks = any(known.get(name, others) == NOTHING for name in schema.get("required", ()))
    return NOTHING if lacks or [] in (schema.get("type"), schema.get("enum")) else schema


def _as_schema(others: Any) -> Schema:
    """``additionalProperties`` as a schema."""
    if isinstance(others, Mapping):
        return others
    return NOTHING if others is False else {}


def _found(root: Any, reference: str) -> Schema:
    at: Any = root
    for part in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
        part = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(at, Sequence) and part.isdecimal() and int(part) < len(at):
            at = at[int(part)]
        else:
            at = at.get(part) if isinstance(at, Mapping) else None
    if not isinstance(at, Mapping):
        raise UsageError(f"the schema refers to {reference[:60]}, which is not in it")
    return at


def _common_types(one: Schema, other: Schema) -> list[str]:
    """The types that both name; one that JSON schema does not know stands for any."""
    named = [set(types_of(each)) for each in (one, other)]
    named = [{*PLAIN_TYPES} if not each or each - {*PLAIN_TYPES} else each for each in named]
    named = [each | ({"integer"} if "number" in each else set()) for each in named]
    common = named[0] & named[1]
    return [name for name in PLAIN_TYPES if name in common and not (name == "integer" and "number" in common)]


def _of_2020(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as draft 2020-12 has it.

    In draft 4 and OpenAPI 3.0 exclusive ends are flags of the others, and until draft 7 a list of schemas for
    the first items stands in ``items``.
    """
    if isinstance(schema.get("items"), list):
        schema["prefixItems"] = schema.pop("items")
    if "prefixItems" in schema:  # which is not checked, and ``items`` is of those behind them
        schema.pop("items", None)
    for exclusive, end in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(flag := schema.get(exclusive), bool):
            del schema[exclusive]
            if flag and end in schema:
                schema[exclusive] = schema.pop(end)
    return schema


_SHAPES: Mapping[str, type | tuple[type, ...]] = {
    "type": (str, list),
    "enum": list,
    "properties": Mapping,
    "required": list,
    **dict.fromkeys(("allOf", *_UNIONS), list),
    **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength"), int),
    **dict.fromkeys(("minProperties", "maxProperties"), int),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (int, float)),
    "multipleOf": (int, float),
}


def _check_shape(schema: Schema) -> None:
    """Refuse a keyword whose value has the wrong type."""
    for name, form in _SHAPES.items():
        value = schema.get(name)
        fits = isinstance(value, form) and (
            name != "required" or all(isinstance(each, str) for each in schema["required"])
        )
        if name in schema and not fits:
            raise UsageError(f"{name} in the schema cannot be {json.dumps(value)[:40]}")
