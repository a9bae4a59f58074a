"""The base of all bodies: pydantic models that read a body, and refuse a wrong one.

JSON from the network is checked here, and nowhere later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, ValidationError, model_validator

from ..wire.http import Refusal

MAX_SEED = (1 << 63) - 1
MAX_MESSAGES = 512
"""Messages of a conversation, and parts of a message."""

Effort = Literal["none", "minimal", "low", "medium", "high", "max", "xhigh", "chat"]
"""How hard to try; without it the last message decides."""

Tokens = Annotated[int, Field(ge=1, le=1 << 24)]
"""Limit of generated tokens of the whole search."""

_OPEN = BeforeValidator(lambda value: None if value == -1 else value)

OpenTokens = Annotated[Tokens | None, _OPEN]
"""Limit of generated tokens; -1 for none."""

Seed = Annotated[Annotated[int, Field(ge=-MAX_SEED, le=MAX_SEED)] | None, _OPEN]
"""-1 for a random one."""

Nothing = Annotated[list[Any], Field(max_length=0)]
"""A list that has to be empty: its items are not supported."""

_MAX_TYPE = 40
"""Characters of an unknown part's type that the refusal repeats."""


class Fields(BaseModel):
    """An object in a request. A null field counts as missing, 4.0 as 4, and unknown fields are kept apart."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            key: int(item) if isinstance(item, float) and item.is_integer() else item
            for key, item in value.items()
            if item is not None
        }

    @classmethod
    def read(cls, value: Any) -> Self:
        """The object of a JSON value.

        Raises:
            Refusal: a field is missing or wrong.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise _refusal(error, value) from None

    def unknown(self, place: str = "") -> Iterator[str]:
        """Names of unknown fields whose value asks for something: not null, false, 0 or empty."""
        yield from (place + name for name, value in (self.model_extra or {}).items() if value)
        for name in type(self).model_fields:
            value = getattr(self, name)
            for at, item in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(item, Fields):
                    index = f"[{at}]" if isinstance(value, list) else ""
                    yield from item.unknown(f"{place}{name}{index}.")


def _refusal(error: ValidationError, value: Any) -> Refusal:
    """The refusal for the first error, with the name of its field: without pydantic's names of types."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ""
    for at, part in enumerate(first["loc"]):
        is_there = isinstance(value, Mapping) and part in value
        if isinstance(part, int):
            name += f"[{part}]"
            value = value[part] if isinstance(value, list) and part < len(value) else None
        elif is_there or at == 0 or first["type"] == "missing":
            name += f".{part}"
            value = value[part] if is_there else None
    return Refusal.of_field(name.lstrip("."), first["msg"])


class Part(Fields):
    """A part of a message. Fields of an earlier answer may come back, without effect."""

    type: str
    text: str | None = None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def as_parts(value: Any) -> Any:
    """A text as the list of its only part."""
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Parts = Annotated[
    list[Part],
    Field(max_length=MAX_MESSAGES),
    FailFast(),
    BeforeValidator(as_parts),
]
"""A text, or a list of parts."""

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], FailFast(), BeforeValidator(_as_list)]
"""A text, or a list of texts."""


def text_of(parts: Sequence[Part], place: str, *without_effect: str) -> str:
    """The text of a message's parts, a line each.

    Args:
        parts: Parts of the message, in order.
        place: The field that holds them.
        without_effect: Types of parts to skip, such as the reasoning of an earlier answer.

    Raises:
        Refusal: a part is no text, such as an image, or its text is missing.
    """
    texts = []
    for at, part in enumerate(parts):
        if part.type in without_effect:
            continue
        if part.type not in ("text", "input_text", "output_text"):
            text = f"{part.type[:_MAX_TYPE]} cannot be read, only text"
            raise Refusal.of_field(f"{place}[{at}].type", text, "unsupported-content")
        if part.text is None:
            raise Refusal.of_field(f"{place}[{at}].text", "has to be given")
        texts.append(part.text)
    return "\n".join(texts)
