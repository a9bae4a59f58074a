"""One JSON schema without references and ``allOf``: what each place of a value has to be, stated there.

A union stays beside what holds for all of its schemas; ``Inliner.alternatives`` puts both together for a
grammar, which would forget the one or the other. Two unions that hold at once would be the union of all their
pairs, which multiply; such a schema is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, reduce
from typing import Any
from urllib.parse import unquote

from ..errors import UsageError
from .schema import NOTHING, PLAIN_TYPES, Schema, matches, types_of, unions_of, value_key

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
