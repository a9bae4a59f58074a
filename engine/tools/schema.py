"""JSON schemas of tools and of objects: read once, then values are checked against them.

Reading puts references and ``allOf`` in place, so that whoever walks a schema (the grammar, the comparison of
calls) finds at each place what a value has to be there. jsonschema checks values; what is left of ``allOf``
is for it alone. A schema comes from a stranger: nothing is fetched, no foreign pattern is matched, which
might never end, and the size of what is read is bounded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache, lru_cache, reduce
from typing import Any

from ..codec import nesting
from ..errors import UsageError

Schema = Mapping[str, Any]

UNCHECKED = frozenset((
    "pattern", "patternProperties", "format", "dependencies", "additionalItems", "unevaluatedItems",
    "unevaluatedProperties", "contentEncoding", "contentMediaType", "contentSchema",
))  # fmt: skip
"""Keywords that are not enforced: the model alone can heed them."""

CHECKED_LATE = frozenset((
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems",
    "minProperties", "maxProperties", "not", "if", "then", "else", "contains", "minContains", "maxContains",
    "prefixItems", "propertyNames", "dependentRequired", "dependentSchemas",
))  # fmt: skip
"""Keywords that a grammar cannot hold: they are checked when a value is complete."""

MAX_PARTS = 10_000
"""Largest number of schemas, values and required names in all schemas of a request, after references.

Reading them takes 20 ms, their grammar .3 s at most. A prompt has some ten tokens for each, so that more
would hardly fit a context.
"""

MOST_LEVELS = 32
"""Levels of a value, since values are compared recursively."""

_DEEPEST = 12
"""Levels of schemas; any value is valid below them, as in a schema that contains itself."""

PLAIN_TYPES = ("string", "integer", "number", "boolean", "null", "object", "array")
"""Types of JSON schema; schemas name others too (``any``, ``float``), which stand for any value."""

NOTHING: Schema = {"enum": []}
"""The schema that no value matches."""

OBJECT: Schema = {"type": "object"}
"""The schema of any object."""

_UNIONS = ("anyOf", "oneOf")
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_LISTS = ("enum", "required", "prefixItems", "allOf", *_UNIONS)
_FORMS: Mapping[str, tuple[type, ...]] = {
    "type": (str, list),
    **dict.fromkeys(("properties", "dependentSchemas", "dependentRequired"), (Mapping,)),
    **dict.fromkeys(_LISTS, (list,)),
    **dict.fromkeys((*_COUNTS, "minContains", "maxContains"), (int,)),
    **dict.fromkeys(_NUMBERS, (int, float)),
}
"""Types that the value of a keyword may have."""


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types that a schema names; empty for any."""
    named = schema.get("type", ())
    return (named,) if isinstance(named, str) else tuple(each for each in named if isinstance(each, str))


def unions_of(schema: Schema) -> Sequence[Schema]:
    """The schemas of which a value has to match one; empty without a union."""
    return next((schema[name] for name in _UNIONS if schema.get(name)), ())


def object_schema(schema: Any) -> Schema:
    """A schema that has to be of an object, as ``SchemaReader.of_object`` has it."""
    return _object_schema(json.dumps(schema))


@lru_cache(maxsize=8)
def _object_schema(text: str) -> Schema:
    """``object_schema`` of a schema as JSON: every solution of a search asks for the same one."""
    return SchemaReader().of_object(json.loads(text))


class SchemaReader:
    """Puts references in place in the schemas of one request, and joins schemas, within one ``MAX_PARTS``."""

    def __init__(self) -> None:
        self._parts = 0

    def read(self, schema: Any) -> Schema:
        """A whole schema with its references and its ``allOf`` in place.

        Raises:
            UsageError: it is invalid, or larger than ``MAX_PARTS``, or refers to something outside.
        """
        from referencing import Registry
        from referencing.jsonschema import DRAFT202012

        root: Any = DRAFT202012.create_resource(schema if isinstance(schema, Mapping) else {})
        return self._visit(schema, Registry[Any]().with_resource("", root).resolver().lookup, 0)

    def of_object(self, schema: Any) -> Schema:
        """The same of a schema that has to be of an object.

        Raises:
            UsageError: as ``read``, or it is of something else.
        """
        found = self.read(schema)
        for places in filter(None, ([found], unions_of(found))):
            if not any("object" in (types_of(each) or "object") for each in places):
                raise UsageError("the schema has to be of the type object")
        return self.both(found, OBJECT)

    def _visit(self, part: Any, lookup: Callable[[str], Any], depth: int) -> Schema:
        """Resolve a schema inside the root, ``depth`` levels deep."""
        self._count(1)
        if part is True or depth > _DEEPEST:
            return {}
        if part is False:
            return NOTHING
        if not isinstance(part, Mapping):
            raise UsageError(f"a schema has to be an object, not {json.dumps(part)[:40]}")
        _check_forms(part)
        self._count(sum(len(part.get(name, ())) for name in ("enum", "required")))

        def inside(each: Any) -> Schema:
            return self._visit(each, lookup, depth + 1)

        pieces = [inside(each) for each in part.get("allOf", ())]
        if isinstance(reference := part.get("$ref"), str):
            pieces.append(inside(_found(lookup, reference)))
        return reduce(self.both, [*pieces, _alone(part, inside)])

    def both(self, one: Schema, other: Schema) -> Schema:
        """A schema of the values that match both.

        Of a keyword with two values it has the other's; the one's stays in ``allOf``, for the check alone.
        Objects have the properties of both, even where one of them allows no others.

        Raises:
            UsageError: there is too much to join.
        """
        if not one or not other or NOTHING in (one, other):
            return one or other if NOTHING not in (one, other) else NOTHING
        self._count(1 + sum(len(each.get(name, ())) for each in (one, other) for name in _SIZED))
        joined, apart = {**one, **other}, {}
        for name in one.keys() & other.keys():
            mine, theirs = one[name], other[name]
            if name == "properties":
                shared = {key: self.both(mine[key], theirs[key]) for key in mine.keys() & theirs.keys()}
                joined[name] = {**mine, **theirs, **shared}
            elif name in ("items", "additionalProperties"):
                joined[name] = self.both(mine, theirs)
            elif name in ("required", "allOf"):
                joined[name] = [*mine, *(each for each in theirs if each not in mine)]
            elif name in _ASSERTED and mine != theirs:
                apart[name] = mine
        return {**joined, "allOf": [*joined.get("allOf", ()), apart]} if apart else joined

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


_SIZED = ("enum", "required", "properties", "allOf", *_UNIONS)
_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_ASSERTED = frozenset(("type", "enum", "minLength", "maxLength", "minItems", "maxItems", *_UNIONS))


def _alone(part: Schema, inside: Callable[[Any], Schema]) -> Schema:
    """A schema without what is joined with it; what is for the check alone stands in its ``allOf``."""
    # By another "$schema" jsonschema would match patterns too.
    own = {
        name: each for name, each in part.items() if name[:1] != "$" and name not in ("allOf", "definitions")
    }
    if isinstance(own.get("items"), list):  # until draft 7: schemas of the first items
        own["prefixItems"] = own.pop("items")
    if "prefixItems" in own:  # ``items`` is of those behind them
        own.pop("items", None)
    for name, value in own.items():
        if name in _ONE:
            own[name] = inside(value)
        elif name in ("properties", "dependentSchemas"):
            own[name] = {key: inside(each) for key, each in value.items()}
        elif name in (*_UNIONS, "prefixItems"):
            own[name] = [inside(each) for each in value]
    if "const" in own:
        own["enum"] = [own.pop("const")]
    if "patternProperties" in own:
        own["patternProperties"] = {}
    types = own.get("type", ())
    if not all(each in PLAIN_TYPES for each in ([types] if isinstance(types, str) else types)):
        del own["type"]
    if "enum" in own and types_of(own):
        own["enum"] = [each for each in own["enum"] if matches(each, {"type": types_of(own)})]
    if own.get("enum") == []:  # as of a boolean that is "True" or "False"
        return NOTHING
    late = {name: own.pop(name) for name in own.keys() & CHECKED_LATE}
    return {**own, "allOf": [late]} if late else own


def _found(lookup: Callable[[str], Any], reference: str) -> Any:
    from referencing.exceptions import Unresolvable

    try:
        return lookup(reference).contents
    # On its way it may meet what is no schema: a pointer into a number, or null in the place of a schema.
    except (Unresolvable, ValueError, TypeError, AttributeError):
        raise UsageError(f"the schema refers to {reference[:60]}, which is not in it") from None


def _check_forms(schema: Schema) -> None:
    """Refuse a keyword whose value has the wrong type."""
    for name in schema.keys() & _FORMS.keys():
        value = schema[name]
        fits = isinstance(value, _FORMS[name]) and not isinstance(value, bool)
        if name == "required":
            fits = fits and all(isinstance(each, str) for each in value)
        elif name == "dependentRequired":
            fits = fits and all(isinstance(each, list) for each in value.values())
        if not fits or (name in _COUNTS and value < 0):
            raise UsageError(f"{name} in the schema cannot be {json.dumps(value)[:40]}")


@cache
def _checker() -> Any:
    """The class of jsonschema that checks by schemas that were read; its import takes a tenth of a second."""
    from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]
    from jsonschema.validators import extend  # type: ignore[import-untyped]

    def multiple_of(checker: Any, step: float, value: Any, schema: Schema) -> Iterator[Exception]:
        # As people write both: 19.99 is a multiple of 0.01, whatever floats say.
        is_asked = checker.is_type(value, "number") and step not in (0, math.inf)
        if is_asked and Fraction(str(value)) % Fraction(str(step)):
            yield ValidationError(f"{value} is no multiple of {step}")

    unchecked = dict.fromkeys(UNCHECKED, lambda *_: ())
    return extend(Draft202012Validator, {**unchecked, "multipleOf": multiple_of})


def matches(value: Any, schema: Schema) -> bool:
    """True if a value matches a schema that was read."""
    return bool(_checker()(schema).is_valid(value))


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
