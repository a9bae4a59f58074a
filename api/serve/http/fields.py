"""Kinds of values in a JSON body: each has a schema, and reads a value or refuses it by its name.

A protocol is a table of them, and the OpenAPI document is made of the same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Refusal

JsonObject = dict[str, Any]


def wrong(name: str, wanted: str, code: str = "invalid-value") -> Refusal:
    """The refusal of a field's value."""
    return Refusal(400, f"{name}: {wanted}", code, name)


@dataclass(frozen=True, slots=True)
class FieldType:
    """What a field may hold.

    Attributes:
        schema: In JSON Schema. What it allows can be read; ``read`` may take more than that.
        read: The value that a JSON value stands for, which is not null. The second argument is its place in
            the body, as ``messages[0].role``, by which a wrong value is refused.
    """

    schema: JsonObject
    read: Callable[[Any, str], Any]


def _read_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise wrong(name, "has to be a string")
    return value


def _read_flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise wrong(name, "has to be true or false")
    return value


TEXT = FieldType({"type": "string"}, _read_text)
FLAG = FieldType({"type": "boolean"}, _read_flag)

WITHOUT_EFFECT = FieldType({"description": "Has no effect."}, lambda value, name: value)
"""Type of a field that describes a request, or repeats what was answered, and asks for nothing."""


def whole(least: int, most: int) -> FieldType:
    """An integer in ``[least, most]``."""

    def read(value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise wrong(name, f"has to be a whole number from {least} to {most}")
        return value

    return FieldType({"type": "integer", "minimum": least, "maximum": most}, read)


def number(least: float, most: float) -> FieldType:
    """A number in ``[least, most]``."""

    def read(value: Any, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise wrong(name, f"has to be a number from {least:g} to {most:g}")
        return float(value)

    return FieldType({"type": "number", "minimum": least, "maximum": most}, read)


def one_of(*values: str) -> FieldType:
    """One of several strings."""

    def read(value: Any, name: str) -> str:
        if value not in values:
            raise wrong(name, f"has to be one of {', '.join(values)}")
        return str(value)

    return FieldType({"type": "string", "enum": list(values)}, read)


def only(*values: Any) -> FieldType:
    """Values, of any JSON, that ask for what happens anyway; other ones ask for what is not done here."""

    def read(value: Any, name: str) -> Any:
        if value not in values:
            raise wrong(name, "is not supported", "unsupported-parameter")
        return value

    return FieldType({"enum": list(values)}, read)


def texts(most: int) -> FieldType:
    """A string that is not empty, or a list of at most ``most``; read as a tuple."""
    text = {"type": "string", "minLength": 1}

    def read(value: Any, name: str) -> tuple[str, ...]:
        items = [value] if isinstance(value, str) else value
        if (
            not isinstance(items, list)
            or len(items) > most
            or not all(isinstance(item, str) and item for item in items)
        ):
            raise wrong(name, f"has to be a text, or a list of at most {most}")
        return tuple(items)

    return FieldType({"anyOf": [text, {"type": "array", "items": text, "maxItems": most}]}, read)


def shape(fields: Mapping[str, FieldType], *required: str) -> FieldType:
    """An object with these fields and no other ones, read as a dictionary; a field that is null is not given.

    Args:
        fields: By name.
        required: Names of those that have to be given.
    """

    def read(value: Any, name: str) -> JsonObject:
        if not isinstance(value, dict):
            raise wrong(name, "has to be an object")
        path = f"{name}." if name else ""
        given = {field: item for field, item in value.items() if item is not None}
        for field in given:
            if field not in fields:
                raise wrong(path + field, "is not supported", "unsupported-parameter")
        for field in required:
            if field not in given:
                raise wrong(path + field, "has to be given")
        return {field: fields[field].read(item, path + field) for field, item in given.items()}

    properties = {name: kind.schema for name, kind in fields.items()}
    allowed = {"properties": properties, "required": list(required), "additionalProperties": False}
    return FieldType({"type": "object", **allowed}, read)


def objects(item: FieldType, most: int, least: int = 0) -> FieldType:
    """A list of so many objects."""

    def read(value: Any, name: str) -> list[Any]:
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise wrong(name, f"has to be a list of {least} to {most} objects")
        return [item.read(each, f"{name}[{n}]") for n, each in enumerate(value)]

    return FieldType({"type": "array", "items": item.schema, "minItems": least, "maxItems": most}, read)


def by_type(shapes: Mapping[str, FieldType], default: str = "") -> FieldType:
    """An object that has one of several shapes, as its field ``type`` says.

    Args:
        shapes: By type.
        default: Type of an object that does not say it; empty where each has to.
    """

    def read(value: Any, name: str) -> Any:
        type_ = value.get("type", default) if isinstance(value, dict) else default
        if type_ not in [*shapes]:
            raise wrong(f"{name}.type", f"only {' and '.join(shapes)} can be read", "unsupported-content")
        return shapes[type_].read(value, name)

    return FieldType({"anyOf": [kind.schema for kind in shapes.values()]}, read)
