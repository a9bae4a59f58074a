"""Formats of a reply: plain text, or a JSON object, of any form or of a schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from adascale.engine.errors import UsageError
from adascale.engine.tools.inlining import object_schema

from ..wire.http import JsonObject, Refusal
from .fields import Fields, Ignored


class TextFormat(Fields):
    """Plain text."""

    type: Literal["text"]


class ObjectFormat(Fields):
    """A JSON object of any form."""

    type: Literal["json_object"]


class SchemaFields(Fields):
    """The JSON schema of an object, and fields beside it."""

    name: str = ""
    description: Ignored = None
    schema_: dict[str, Any] = Field({}, alias="schema")
    strict: Ignored = None


class SchemaFormat(Fields):
    """A JSON object of a schema, as chat completions have it."""

    type: Literal["json_schema"]
    json_schema: SchemaFields


class FlatSchemaFormat(SchemaFields):
    """A JSON object of a schema, as responses and messages have it."""

    type: Literal["json_schema"]


ChatFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]
FlatFormat = Annotated[TextFormat | ObjectFormat | FlatSchemaFormat, Field(discriminator="type")]

_ANY: JsonObject = {"type": "object"}


def schema_of(asked: ChatFormat | FlatFormat | None, place: str) -> JsonObject | None:
    """The schema of the reply; None for plain text.

    Args:
        asked: The format.
        place: The field that holds it.

    Raises:
        Refusal: as ``checked``.
    """
    match asked:
        case None | TextFormat():
            return None
        case ObjectFormat():
            return _ANY
        case SchemaFormat():
            return checked(asked.json_schema.schema_, f"{place}.json_schema.schema")
        case _:
            return checked(asked.schema_, f"{place}.schema")


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
