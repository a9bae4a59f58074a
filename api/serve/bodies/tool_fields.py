"""Tools in a request: their fields in each protocol, and the conversation with tools that they state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from adascale.engine.errors import UsageError
from adascale.engine.tools.tool import MAX_TOOLS, Choice, ToolRequest

from ..wire.http import JsonObject, Refusal
from .fields import Fields, Ignored

Name = Annotated[str, Field(min_length=1, max_length=128)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Function(Fields):
    """A function that the model may call."""

    name: Name
    description: str = ""
    parameters: dict[str, Any] = {}
    """JSON schema of its arguments, an object; with ``x-min-probability`` it is called only if that sure."""
    strict: Ignored = None

    def shown(self) -> JsonObject:
        """The function as a template reads it."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}


class FunctionTool(Fields):
    """A tool of a chat completion."""

    type: Literal["function"]
    function: Function


FunctionTools = Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS), FailFast()]


class NamedFunction(Fields):
    """The name of a function."""

    name: Name


class FunctionChoice(Fields):
    """One function that has to be called."""

    type: Literal["function"]
    function: NamedFunction


class CalledFunction(Fields):
    """A function that an earlier answer has called; its arguments are JSON."""

    name: Name
    arguments: str | dict[str, Any] = "{}"


class EarlierCall(Fields):
    """A call of an earlier answer."""

    id: str = ""
    type: Literal["function"] = "function"
    function: CalledFunction
    index: Ignored = None


Word = Literal["auto", "none", "required"]


def spoken(role: str, content: str) -> JsonObject:
    """A message of a conversation with tools."""
    return {"role": "system" if role == "developer" else role, "content": content}


def calling(content: str, calls: Sequence[tuple[str, str, Any]], place: str) -> JsonObject:
    """The message of an assistant that calls.

    Args:
        content: Its words.
        calls: Id, name and arguments of each call, these as JSON or an object.
        place: The field that holds them.

    Raises:
        Refusal: the arguments are no JSON object.
    """
    return {
        **spoken("assistant", content),
        "tool_calls": [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": _object(given, place)}}
            for id_, name, given in calls
        ],
    }


def _object(given: Any, place: str) -> JsonObject:
    try:
        value = json.loads(given or "{}") if isinstance(given, str) else given
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refusal.of_field(place, "has arguments that are no JSON object")
    return value


def returned(content: str, id_: str, name: str = "") -> JsonObject:
    """The message that has the result of a call."""
    return {**spoken("tool", content), "tool_call_id": id_, **({"name": name} if name else {})}


def named_results(messages: Sequence[JsonObject]) -> list[JsonObject]:
    """Messages whose results have the name of the tool that was called, which some templates want."""
    names = {call["id"]: call["function"]["name"] for each in messages for call in each.get("tool_calls", ())}
    return [
        {**each, "name": names[each["tool_call_id"]]} if each.get("tool_call_id") in names else each
        for each in messages
    ]


def tool_request(
    messages: Sequence[JsonObject],
    tools: Sequence[Mapping[str, Any]],
    choice: Word | str | None,
    place: str,
    *,
    forced: str | None = None,
    is_parallel: bool = True,
) -> ToolRequest | None:
    """The request of a body; None if nothing in it is about tools.

    Args:
        messages: The conversation, as the functions here state it.
        tools: The tools in the shape of chat completions.
        choice: May the model call.
        place: The field that holds the messages.
        forced: Name of the tool that has to be called.
        is_parallel: Several calls in one turn are allowed.

    Raises:
        Refusal: a tool cannot be used, none has the name, or the last message is not the user's or a tool's.
    """
    has_results = any(each["role"] == "tool" or "tool_calls" in each for each in messages)
    if not has_results and (not tools or choice == "none"):
        return None
    if not messages or messages[-1]["role"] not in ("user", "tool"):
        raise Refusal.of_field(place, "the last one has to be the user's, or the result of a call")
    if forced is not None:
        tools, choice = [tool for tool in tools if tool["function"]["name"] == forced], "required"
    if choice == "required" and not tools:
        raise Refusal.of_field("tool_choice", "asks for a call, and there is no such tool")
    may: Choice = "required" if choice == "required" else "none" if choice == "none" or not tools else "auto"
    details = {"messages": named_results(messages), "tools": tools, "choice": may, "is_parallel": is_parallel}
    try:
        return ToolRequest.of(details)
    except UsageError as error:
        raise Refusal.of_field("tools", error.message) from None
