"""JSON schemas of tools and of objects: read once, then values are checked against them.

Reading puts references in place and lays ``allOf`` over each other, so that whoever walks a schema (the
grammar, the comparison of calls) finds at each place what a value has to be there. jsonschema checks values;
what lies below something else stays in ``allOf``, for it alone. A schema comes from a stranger: nothing is
fetched, no foreign pattern is matched, which might never end, and the size of what is read is bounded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache, lru_cache, reduce
from itertools import chain
from typing import Any

from ..codec import nesting
from ..errors import UsageError

Schema = Mapping[str, Any]

UNCHECKED = frozenset((
    "pattern", "patternProperties", "format", "dependencies", "additionalItems", "unevaluatedItems",
    "unevaluatedProperties", "contentEncoding", "contentMediaType", "contentSchema",
))  # fmt: skip
"""Keywords that are not enforced: the model alone can heed them."""

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

_UNIONS = ("anyOf", "oneOf")
_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_MANY = ("prefixItems", "allOf", *_UNIONS)
_NAMED = ("properties", "dependentSchemas")
_FORMS: Mapping[str, Sequence[str]] = {
    "object": _NAMED,
    "array": ("enum", *_MANY),
    "integer": (
        *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
        *("minContains", "maxContains"),
    ),
}
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_TEXTS = {"type": "array", "items": {"type": "string"}}
_PART: Schema = {
    "type": "object",
    "properties": {
        "type": {"type": ["string", "array"], "items": {"type": "string"}},
        "required": _TEXTS,
        "dependentRequired": {"type": "object", "additionalProperties": _TEXTS},
        **{name: {"type": form, "minimum": 0} for form, names in _FORMS.items() for name in names},
        **{name: {"type": "number"} for name in _NUMBERS},
    },
}
"""The schema of a schema, without those inside it."""


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types that a schema names; empty for any."""
    named = schema.get("type", ())
    return (named,) if isinstance(named, str) else tuple(named)


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
    """Reads the schemas of one request, within one ``MAX_PARTS``."""

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
        return self._laid(found, {"type": "object"})

    def _visit(self, part: Any, lookup: Callable[[str], Any], depth: int) -> Schema:
        """Read a schema inside the root, ``depth`` levels deep."""
        self._count(1)
        if part is True or depth > _DEEPEST:
            return {}
        if part is False:
            return NOTHING
        if error := next(_checker()(_PART).iter_errors(part), None):
            place = f"{error.path[0]} in the schema" if error.path else "a schema"
            raise UsageError(f"{place} cannot be {json.dumps(error.instance)[:40]}")
        self._count(sum(len(part.get(name, ())) for name in ("enum", "required")))

        def inside(name: str, value: Any) -> Any:
            if name in _ONE and not isinstance(value, list):
                return self._visit(value, lookup, depth + 1)
            if name in (*_MANY, "items"):
                return [self._visit(each, lookup, depth + 1) for each in value]
            if name in _NAMED:
                return {key: self._visit(each, lookup, depth + 1) for key, each in value.items()}
            return value

        # By another "$schema" jsonschema would match patterns too.
        left_out = {"definitions", *UNCHECKED, *(name for name in part if name[:1] == "$")}
        own = {name: inside(name, value) for name, value in part.items() if name not in left_out}
        pieces = own.pop("allOf", [])
        if isinstance(reference := part.get("$ref"), str):
            pieces.append(inside("not", _found(lookup, reference)))
        return reduce(self._laid, [*pieces, _in_one_form(own)])

    def _laid(self, below: Schema, above: Schema) -> Schema:
        """A schema of the values that match both, as far as those who walk it see: ``above`` hides ``below``.

        What is hidden stays in ``allOf``, for the check alone.

        Raises:
            UsageError: there are too many properties.
        """
        if NOTHING in (below, above):
            return NOTHING
        found = {**below, **above}
        for name in below.keys() & above.keys() & {"properties", "required", "allOf"}:
            both = (below[name], above[name])
            self._count(sum(map(len, both)))
            found[name] = {**below[name], **above[name]} if name == "properties" else [*chain(*both)]
        common = below.keys() & above.keys() - {"required", "allOf"}
        hidden = {name: below[name] for name in common if found[name] != below[name]}
        return {**found, "allOf": [*found.get("allOf", ()), hidden]} if hidden else found

    def alternatives(self, schema: Schema) -> list[Schema]:
        """The schemas of a union, each with what stands beside it, but for those that no value matches."""
        base = {name: each for name, each in schema.items() if name not in _UNIONS}
        return [both for each in unions_of(schema) if (both := self._laid(base, each)) != NOTHING]

    def _count(self, parts: int) -> None:
        self._parts += parts
        if self._parts > MAX_PARTS:
            raise UsageError(
                f"the schemas of a request may have {MAX_PARTS:,} parts together, with references"
            )


def _in_one_form(own: dict[str, Any]) -> Schema:
    """A schema in the form of its last draft, without types that JSON does not have."""
    if isinstance(own.get("items"), list):  # until draft 7: schemas of the first items
        own["prefixItems"] = own.pop("items")
    if "prefixItems" in own:  # ``items`` is of those behind them
        own.pop("items", None)
    if "const" in own:
        own["enum"] = [own.pop("const")]
    if not set(types_of(own)) <= {*PLAIN_TYPES}:
        del own["type"]
    if "enum" in own and (types := types_of(own)):
        own["enum"] = [each for each in own["enum"] if matches(each, {"type": types})]
    return NOTHING if own.get("enum") == [] else own  # as of a boolean that is "True" or "False"


def _found(lookup: Callable[[str], Any], reference: str) -> Any:
    from referencing.exceptions import Unresolvable

    try:
        return lookup(reference).contents
    # On its way it may meet what is no schema: a pointer into a number, or null in the place of a schema.
    except (Unresolvable, ValueError, TypeError, AttributeError):
        raise UsageError(f"the schema refers to {reference[:60]}, which is not in it") from None


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

    return extend(Draft202012Validator, {"multipleOf": multiple_of})


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
