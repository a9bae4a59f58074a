"""JSON schemas of tools and of objects: read once, then values are checked against them.

Reading puts references in place, and the schemas of ``allOf`` over each other for readers that walk a schema
(the grammar, the comparison of calls); jsonschema checks values. A schema comes from a stranger: nothing is
fetched, no foreign pattern is matched, as it might never end, and its size is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, reduce
from typing import Any

from ..codec import nesting
from ..errors import UsageError

Schema = Mapping[str, Any]

UNCHECKED = frozenset((
    "pattern", "patternProperties", "format", "multipleOf", "dependencies", "additionalItems",
    "unevaluatedItems", "unevaluatedProperties", "contentEncoding", "contentMediaType", "contentSchema",
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

PLAIN_TYPES = frozenset(("string", "integer", "number", "boolean", "null", "object", "array"))
"""Types of JSON schema; schemas name others too (``any``, ``float``), which stand for any value."""

NOTHING: Schema = {"enum": []}
"""The schema that no value matches."""

_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_MANY = ("items", "prefixItems", "allOf", "anyOf", "oneOf")
_NAMED = ("properties", "dependentSchemas")
_PART: Schema = json.loads("""
{
  "type": "object",
  "properties": {
    "type": {"type": ["string", "array"], "items": {"type": "string"}},
    "enum": {"type": "array"},
    "required": {"type": "array", "items": {"type": "string"}},
    "dependentRequired": {
      "type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}
    }
  },
  "patternProperties": {
    "^(properties|dependentSchemas)$": {"type": "object"},
    "^(prefixItems|allOf|anyOf|oneOf)$": {"type": "array"},
    "^(min|max)(Items|Length|Properties|Contains)$": {"type": "integer", "minimum": 0},
    "^(exclusiveM|m)(in|ax)imum$": {"type": "number"}
  }
}
""")
"""The schema of a schema, without those inside it."""


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types that a schema names; empty for any."""
    names = schema.get("type", ())
    return (names,) if isinstance(names, str) else tuple(names)


def unions_of(schema: Schema) -> Sequence[Schema]:
    """The schemas of which a value has to match one; empty without a union."""
    return schema.get("anyOf") or schema.get("oneOf") or ()


def laid(below: Schema, above: Schema) -> Schema:
    """Both schemas as one, in which ``above`` hides ``below``, for readers that check nothing."""
    schema = {**below, **above}
    if "properties" in below and "properties" in above:
        schema["properties"] = {**below["properties"], **above["properties"]}
    if "required" in below and "required" in above:
        schema["required"] = [*below["required"], *above["required"]]
    return schema


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
        result = self.read(schema)
        for places in filter(None, ([result], unions_of(result))):
            if not any("object" in (types_of(each) or "object") for each in places):
                raise UsageError("the schema has to be of the type object")
        return {**result, "type": "object"}

    def _visit(self, part: Any, lookup: Callable[[str], Any], depth: int) -> Schema:
        """Read a schema inside the root, ``depth`` levels deep."""
        self._count(1)
        if part is True or depth > _DEEPEST:
            return {}
        if part is False:
            return NOTHING
        if error := next(_checker(_PART).iter_errors(part), None):
            place = f"{error.path[0]} in the schema" if error.path else "a schema"
            raise UsageError(f"{place} cannot be {json.dumps(error.instance)[:40]}")
        self._count(sum(len(part.get(name, ())) for name in ("enum", "required")))

        def inside(name: str, value: Any) -> Any:
            if name in _MANY and isinstance(value, list):
                return [self._visit(each, lookup, depth + 1) for each in value]
            if name in _ONE:
                return self._visit(value, lookup, depth + 1)
            if name in _NAMED:
                return {key: self._visit(each, lookup, depth + 1) for key, each in value.items()}
            return value

        # By another "$schema" jsonschema would match patterns too.
        left_out = {"definitions", *UNCHECKED, *(name for name in part if name[:1] == "$")}
        own = {name: inside(name, value) for name, value in part.items() if name not in left_out}
        if isinstance(reference := part.get("$ref"), str):
            own["allOf"] = [*own.get("allOf", ()), inside("not", _found(lookup, reference))]
        return _in_one_form(own)

    def _count(self, parts: int) -> None:
        self._parts += parts
        if self._parts > MAX_PARTS:
            raise UsageError(
                f"the schemas of a request may have {MAX_PARTS:,} parts together, with references"
            )


def _in_one_form(own: dict[str, Any]) -> Schema:
    """A schema in the form of its last draft, without types that JSON does not have.

    The check needs the schemas of ``allOf`` one by one; a walk needs them as one.
    """
    if isinstance(own.get("items"), list):  # until draft 7: schemas of the first items
        own["prefixItems"] = own.pop("items")
    if "prefixItems" in own:  # ``items`` is of those behind them
        own.pop("items", None)
    if "const" in own:
        own["enum"] = [own.pop("const")]
    if not PLAIN_TYPES.issuperset(types_of(own)):
        del own["type"]
    if "enum" in own and (types := types_of(own)):
        own["enum"] = [each for each in own["enum"] if matches(each, {"type": types})]
    parts: Sequence[Schema] = own.pop("allOf", ())
    if own.get("enum") == [] or NOTHING in parts:
        return NOTHING
    if len(parts) == 1 and not own:
        return parts[0]
    if not parts:
        return own
    whole: Schema = reduce(laid, [*parts, own])
    return {**whole, "allOf": [*parts, own]}


def _found(lookup: Callable[[str], Any], reference: str) -> Any:
    from referencing.exceptions import Unresolvable

    try:
        return lookup(reference).contents
    # A reference may point into a number, or at null in the place of a schema.
    except (Unresolvable, ValueError, TypeError, AttributeError):
        raise UsageError(f"the schema refers to {reference[:60]}, which is not in it") from None


def _checker(schema: Schema) -> Any:
    """Checks by a schema that was read; the import of jsonschema takes a tenth of a second."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    return Draft202012Validator(schema)


def matches(value: Any, schema: Schema) -> bool:
    """True if a value matches a schema that was read."""
    return bool(_checker(schema).is_valid(value))


def as_json(text: str) -> Any:
    """The value of a text in JSON.

    Raises:
        ValueError: it is none (NaN is not), or it has more than ``MOST_LEVELS`` levels.
    """
    try:
        result = json.loads(text)
        json.dumps(result, allow_nan=False)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    if nesting(result) > MOST_LEVELS:
        raise ValueError(f"more than {MOST_LEVELS} levels")
    return result
