"""The messages of a request: what was said before, and the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adascale.engine.types import Role, Turn

from ..http.fields import TEXT, WITHOUT_EFFECT, FieldType, JsonObject, by_type, objects, only, shape, wrong

MAX_MESSAGES = 512
"""Messages of a conversation, and parts of a message."""

ROLES: Mapping[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
"""Who speaks, as clients call them and as templates of models do."""

Conversation = tuple[tuple[Turn, ...], str]
"""What was said before, and the question."""


def text_part(type_: str, *without_effect: str) -> FieldType:
    """A part of a message with text in it, and fields beside it that clients send back as they got them."""
    beside = dict.fromkeys(without_effect, WITHOUT_EFFECT)
    return shape({"type": only(type_), "text": TEXT, **beside}, "type", "text")


def content(parts: Mapping[str, FieldType]) -> FieldType:
    """A text, or a list of parts; those with text are read as one text, a line each.

    Args:
        parts: Shapes by type.
    """
    several = objects(by_type(parts), MAX_MESSAGES)

    def read(value: Any, name: str) -> str:
        if isinstance(value, str):
            return value
        return "\n".join(part["text"] for part in several.read(value, name) if "text" in part)

    return FieldType({"anyOf": [TEXT.schema, several.schema]}, read)


def read_conversation(messages: Sequence[JsonObject], field: str) -> Conversation:
    """Messages that were read, each with ``role`` and ``content``; those without a role say nothing.

    Args:
        messages: At least one.
        field: Where they are in the body.

    Raises:
        Refusal: the last one is not the user's, or is empty.
    """
    last = messages[-1]
    if last.get("role") != "user":
        raise wrong(field, "the last one has to be the user's: it is the question")
    question: str = last.get("content", "")
    if not question.strip():
        raise wrong(f"{field}[{len(messages) - 1}].content", "is empty", "empty-question")
    said = (message for message in messages[:-1] if "role" in message)
    return tuple(Turn(ROLES[each["role"]], each.get("content", "")) for each in said), question
