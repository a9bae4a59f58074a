"""A client's conversation, whatever its protocol: messages, and tools that may be called.

Protocols turn each message into the form of chat completions (``spoken``, ``calling``, ``returned``), which
chat templates read too; ``conversation_of`` makes a conversation of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adascale.engine.codec import nesting
from adascale.engine.errors import UsageError
from adascale.engine.tools.tool import Choice, ToolRequest, in_words
from adascale.engine.types import Turn

from .wire.http import MAX_DEPTH, JsonObject, Refusal, parse_json

CONTINUE = "Continue."
"""The user's turn behind a reply of the assistant, which asks for another one."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A question, and what was said before it.

    Attributes:
        history: The conversation before it.
        question: Its text.
        is_question: It is the user's, and not the result of a call, which is only replied to.
    """

    history: tuple[Turn, ...]
    question: str
    is_question: bool = True


@dataclass(frozen=True, slots=True)
class RawText:
    """A text to continue as it is, up to a suffix that may be empty."""

    text: str
    suffix: str = ""


Conversation = Chat | RawText | ToolRequest


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The tools of a request.

    Attributes:
        tools: Tools in the form of chat completions.
        choice: ``auto``, ``none`` or ``required``; None is ``auto``.
        forced: Name of the tool that has to be called; None for any.
        is_parallel: Allow several calls in one turn.
    """

    tools: Sequence[Mapping[str, Any]] = ()
    choice: Choice | None = None
    forced: str | None = None
    is_parallel: bool = True


def spoken(role: str, content: str) -> JsonObject:
    """A message."""
    return {"role": "system" if role == "developer" else role, "content": content}


def calling(content: str, calls: Sequence[tuple[str, str, Any]], place: str) -> JsonObject:
    """The message of an assistant that calls tools.

    Args:
        content: Its text.
        calls: Id, name and arguments of each call; the arguments are JSON or an object.
        place: The field that holds them, for refusals.

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
        value = parse_json(given or "{}") if isinstance(given, str) else given
    except ValueError:
        value = None
    if not isinstance(value, dict) or nesting(value) > MAX_DEPTH:
        text = f"has arguments that are no JSON object, or nested more than {MAX_DEPTH} levels deep"
        raise Refusal.of_field(place, text)
    return value


def returned(content: str, id_: str, name: str = "") -> JsonObject:
    """The message with the result of a call."""
    return {**spoken("tool", content), "tool_call_id": id_, **({"name": name} if name else {})}


def conversation_of(
    messages: Sequence[JsonObject], question_field: str, use: ToolUse = ToolUse()
) -> Conversation:
    """The conversation: a ``ToolRequest`` if a tool may be called, otherwise a ``Chat``.

    Args:
        messages: All messages; the last one is the question or the result of a call. System messages behind
            it are read before it. Behind a reply of the assistant the model is asked to continue.
        question_field: Field of the last message's content, such as ``messages[2].content``.
        use: The tools.

    Raises:
        Refusal: the last message is empty, or calls a tool; or a tool cannot be used.
    """
    messages = _ending_with_a_question(messages, question_field.partition("[")[0])
    is_required = use.choice == "required" or use.forced is not None
    if is_required or (use.tools and use.choice != "none"):
        return _tool_request(messages, use)
    *earlier, last = messages
    if last["role"] == "user" and not last["content"].strip():
        raise Refusal.of_field(question_field, "is empty", "empty-question")
    if any(each["role"] == "tool" or "tool_calls" in each for each in messages):
        earlier, [asked] = in_words(earlier), in_words([last])
    else:
        asked = last
    history = tuple(Turn(each["role"], each["content"]) for each in earlier)
    return Chat(history, asked["content"], is_question=last["role"] == "user")


def _ending_with_a_question(messages: Sequence[JsonObject], place: str) -> list[JsonObject]:
    said = [each for each in messages if each["role"] != "system"]
    if not said and messages:
        return [*messages[:-1], spoken("user", messages[-1]["content"])]
    if not said or "tool_calls" in said[-1]:
        raise Refusal.of_field(place, "the last one has to be the question, or the result of a call")
    if said[-1]["role"] == "assistant":
        return [*messages, spoken("user", CONTINUE)]
    last = max(at for at, each in enumerate(messages) if each is said[-1])
    return [*messages[:last], *messages[last + 1 :], said[-1]]


def _tool_request(messages: Sequence[JsonObject], use: ToolUse) -> ToolRequest:
    tools, choice = use.tools, use.choice
    if use.forced is not None:
        tools, choice = [tool for tool in tools if tool["function"]["name"] == use.forced], "required"
    if choice == "required" and not tools:
        raise Refusal.of_field("tool_choice", "asks for a call, and there is no such tool")
    details = {
        "messages": _with_names(messages),
        "tools": tools,
        "choice": choice or "auto",
        "is_parallel": use.is_parallel,
    }
    try:
        return ToolRequest.of(details)
    except UsageError as error:
        raise Refusal.of_field("tools", error.message) from None


def _with_names(messages: Sequence[JsonObject]) -> list[JsonObject]:
    """The messages, with the name of the called tool added to each result, which some templates need.

    It is found by the call's id; where Ollama's clients give neither id nor name, by the order of the calls.
    """
    found: list[JsonObject] = []
    names: dict[str, str] = {}
    turn: list[str] = []
    for each in messages:
        calls = [(call["id"], call["function"]["name"]) for call in each.get("tool_calls", ())]
        names |= {id_: name for id_, name in calls if id_}
        turn = turn if each["role"] == "tool" else [name for _, name in calls]
        if each["role"] == "tool":
            next_name = turn.pop(0) if turn else ""
            name = names.get(each["tool_call_id"]) or each.get("name") or next_name
            each = {**each, **({"name": name} if name else {})}
        found.append(each)
    return found
