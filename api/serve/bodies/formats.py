"""Formats of a reply: plain text, or a JSON object, of any form or of a schema."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from adascale.engine.errors import UsageError
from adascale.engine.tools.inlining import object_schema

from ..wire.http import JsonObject, Refusal
from .fields import Fields

FormatName = Literal["text", "json_object", "json_schema"]


class SchemaFields(Fields):
    """The JSON schema of an object, and fields beside it."""

    name: str = ""
    schema_: dict[str, Any] = Field({}, alias="schema")


class ChatFormat(Fields):
    """Plain text, or a JSON object of any form or of a schema, as chat completions have it."""

    type: FormatName
    json_schema: SchemaFields | None = None


class FlatFormat(SchemaFields):
    """The same, as responses and messages have it."""

    type: FormatName


def schema_of(asked: ChatFormat | FlatFormat | None, place: str) -> JsonObject | None:
    """The schema of the reply; None for plain text.

    Args:
        asked: The format.
        place: The field that holds it.

    Raises:
        Refusal: as ``checked``, or there is no schema.
    """
    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object":
        return {"type": "object"}
    if isinstance(asked, FlatFormat):
        return checked(asked.schema_, f"{place}.schema")
    if asked.json_schema is None:
        raise Refusal.of_field(f"{place}.json_schema", "has to be given")
    return checked(asked.json_schema.schema_, f"{place}.json_schema.schema")


def checked(schema: JsonObject, place: str) -> JsonObject:
    """The schema itself, once it is known to describe an object.

    Raises:
        Refusal: it describes something else, or is too large.
    """
    try:
        object_schema(schema)
    except UsageError as error:
        raise Refusal.of_field(place, error.message) from None
    return schema
