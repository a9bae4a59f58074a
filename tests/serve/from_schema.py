"""Values that a JSON schema allows, as far as the server's document uses JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

_MOST_ITEMS = 3
"""Items of a list, and optional fields of an object."""


def from_schema(schema: dict[str, Any], defined: Mapping[str, dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Draws values.

    Args:
        schema: JSON schema of a value.
        defined: Schemas by name, for references.
    """
    match schema:
        case {"$ref": name}:
            return from_schema(defined[name.rpartition("/")[2]], defined)
        case {"type": "null"}:
            return st.none()
        case {"enum": values}:
            return st.sampled_from(values)
        case {"const": value}:
            return st.just(value)
        case {"anyOf": several} | {"oneOf": several}:
            return st.one_of(*(from_schema(each, defined) for each in several))
        case {"type": "string"}:
            return st.text(min_size=schema.get("minLength", 0), max_size=20)
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "integer", "minimum": least, "maximum": most}:
            return st.integers(least, most)
        case {"type": "number", "minimum": least, "maximum": most}:
            return st.floats(least, most)
        case {"type": "array", "items": items}:
            most = min(schema.get("maxItems", _MOST_ITEMS), _MOST_ITEMS)
            return st.lists(from_schema(items, defined), min_size=schema.get("minItems", 0), max_size=most)
        case {"type": "object"}:
            return _objects(schema, defined)
    assert not schema.keys() - {"description", "title", "default"}, f"unknown schema: {schema}"
    return JSON


def _objects(schema: dict[str, Any], defined: Mapping[str, dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Draws objects; names of any number of fields are ids of tokens."""
    if "properties" not in schema:
        if schema["additionalProperties"] is True:  # a schema, or arguments
            return st.dictionaries(st.sampled_from(["type", "properties", "required", "items"]), JSON)
        names = st.from_regex(r"[0-9]{1,6}", fullmatch=True)
        return st.dictionaries(names, from_schema(schema["additionalProperties"], defined))
    required = schema.get("required", [])
    fields = {name: from_schema(value, defined) for name, value in schema["properties"].items()}
    few = st.lists(st.sampled_from(sorted(fields)), max_size=_MOST_ITEMS)
    return few.flatmap(
        lambda names: st.fixed_dictionaries(
            {name: fields[name] for name in dict.fromkeys([*required, *names])}
        )
    )
