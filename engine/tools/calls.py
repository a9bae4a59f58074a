"""A tool, a call of it, and a conversation with tools, in the form of chat completions; calls in a text.

A call that is written under a grammar always has the same form. One that follows other words, if no
grammar begins, is written as the model likes: alone, in a list or a code block, or behind a marker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Self

from ..codec import nesting
from ..errors import UsageError
from .schema import MOST_LEVELS, Schema, SchemaReader, as_json, matches

ToolChoice = Literal["auto", "none", "required"]
"""``tool_choice``: the model decides, may not call, or has to call."""

MAX_TOOLS = 128
"""Tools of one request."""

_NAME = re.compile(r"[\w.:/-]{1,128}")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call.

    Attributes:
        name: Its name.
        parameters: JSON schema of its arguments, an object, without references.
        record: The tool as the client gave it, in the form of chat completions, for the prompt.
    """

    name: str
    parameters: Schema
    record: Mapping[str, Any]

    @classmethod
    def of(cls, record: Mapping[str, Any], reader: SchemaReader | None = None) -> Self:
        """The tool of a record in the form of chat completions.

        Args:
            record: The record.
            reader: Reads the schemas of all tools of the request.

        Raises:
            UsageError: its name is invalid, or its schema is not of an object, or too large.
        """
        function = record["function"]
        name, raw = function["name"], function.get("parameters") or {}
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"the name of a tool has letters, digits and any of _-.:/ in it, not {name[:40]!r}"
            )
        try:
            parameters = (reader or SchemaReader()).of_object(raw)
        except UsageError as error:
            raise UsageError(f"the tool {name}: {error.message}") from None
        return cls(name, {"properties": {}, **parameters}, record)


Tools = Mapping[str, Tool]
"""Tools by their names."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool."""

    name: str
    arguments: Mapping[str, Any]

    def record(self) -> dict[str, Any]:
        """The call as JSON."""
        return {"name": self.name, "arguments": dict(self.arguments)}


def write_calls(calls: Sequence[Call]) -> str:
    """Calls as an answer, in JSON; without calls it is ``[]``."""
    return json.dumps([call.record() for call in calls], ensure_ascii=False)


NO_CALL = write_calls(())
"""The answer that calls nothing."""


def calls_of(answer: str) -> tuple[Call, ...]:
    """The calls in an answer of ``write_calls``."""
    return tuple(Call(each["name"], each["arguments"]) for each in json.loads(answer))


def in_words(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same conversation without calls and results: they stand in the texts of assistant and user.

    Two turns of one role that follow each other are one.

    Args:
        messages: Messages in the form of chat completions.
    """
    turns: list[dict[str, Any]] = []
    for message in messages:
        role, content = message["role"], message["content"]
        calls = [
            json.dumps({"name": call["function"]["name"], "arguments": call["function"]["arguments"]})
            for call in (message.get("tool_calls") or ())
        ]
        if role == "tool":
            role, content = "user", f"<tool_response>\n{content}\n</tool_response>"
        text = "\n".join(filter(None, [content, *calls]))
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{text}"
        else:
            turns.append({"role": role, "content": text})
    return turns


def below_system(system: str, conversation: Sequence[tuple[str, str]]) -> tuple[str, list[dict[str, Any]]]:
    """The system prompt with the system turns below it, and the other turns, which alternate.

    Args:
        system: The prompt; empty for none.
        conversation: Role and text of each turn.
    """
    system = "\n\n".join(filter(None, [system, *(text for role, text in conversation if role == "system")]))
    return system, in_words(
        {"role": role, "content": text} for role, text in conversation if role != "system"
    )


@lru_cache(maxsize=8)
def _tools_of(text: str) -> Tools:
    """The tools of a list of records as JSON: every solution of a search asks for the same ones."""
    reader = SchemaReader()
    tools = [Tool.of(record, reader) for record in json.loads(text)]
    by_name = {tool.name: tool for tool in tools}
    if len(by_name) < len(tools):
        raise UsageError("two tools have the same name")
    return by_name


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A conversation with tools.

    Attributes:
        messages: Messages in the form of chat completions, with texts as content and objects as arguments.
        tools: Tools that may be called.
        choice: May the model call a tool.
        is_parallel: Several calls in one turn are allowed.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Tools
    choice: ToolChoice = "auto"
    is_parallel: bool = True

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Self:
        """The request in the details of a problem.

        Raises:
            UsageError: a tool is invalid, there are too many, or two have the same name.
        """
        records = details.get("tools", ())
        if len(records) > MAX_TOOLS:
            raise UsageError(f"there are {len(records)} tools; a request may have {MAX_TOOLS}")
        tools = _tools_of(json.dumps(records))
        return cls(
            details["messages"], tools, details.get("choice", "auto"), details.get("is_parallel", True)
        )

    @property
    def is_asked(self) -> bool:
        """True if the last message is the user's; False after the result of a call."""
        return bool(self.messages) and self.messages[-1]["role"] == "user"

    def known_result(self, call: Call) -> str | None:
        """The result of an equal call since the last message of the user; None for a new call."""
        last = max((at for at, each in enumerate(self.messages) if each["role"] == "user"), default=-1)
        since = self.messages[last + 1 :]
        earlier = [each for message in since for each in (message.get("tool_calls") or ())]
        tool_messages = [message for message in since if message["role"] == "tool"]
        # Results of parallel calls come in any order; Ollama's have no ids.
        results = {each.get("tool_call_id") or at: each["content"] for at, each in enumerate(tool_messages)}
        for at, each in enumerate(earlier):
            if Call(each["function"]["name"], each["function"]["arguments"]) == call:
                return results.get(each.get("id") or at)
        return None

    @property
    def may_call(self) -> bool:
        """True if a call is allowed."""
        return bool(self.tools) and self.choice != "none"


# Calls in a text

MARKERS = (
    "<tool_call>",  # Hermes, Qwen, SmolLM3, Granite
    "[TOOL_CALLS]",  # Mistral
    "<|python_tag|>",  # Llama 3
    "<|tool_call|>",  # Phi-4-mini
    "<|tool_call>",  # Gemma 4
    "<|tool_call_start|>",  # LFM
    "<start_function_call>",  # FunctionGemma
    "<function_call>",
    "<tools>",  # the Qwen 2.5 coders, sometimes
)
"""Texts that begin a call."""

_CLOSERS = re.compile(
    r"</?(?:tools|tool_response|function_call)>|\[/?TOOL_CALLS\]|<\|(?:python_tag|eom_id)\|>"
    r"|<\|?/?tool_call(?:_start|_end)?\|?>|<(?:start|end)_function_call>|```\w*|\[[\s,]*\]"
)

_LONGEST = 20_000
"""Characters of a reply that are read."""
_MOST = 100
"""Brackets without a call after which reading stops."""


@dataclass(frozen=True, slots=True)
class Found:
    """A call in a text, of which only the name was checked."""

    start: int
    end: int
    name: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to a request with tools.

    Attributes:
        calls: Its valid calls.
        text: The text around them.
        is_faulty: True if another call is invalid: such a reply must not be used.
    """

    calls: tuple[Call, ...]
    text: str
    is_faulty: bool = False


def read_reply(text: str, tools: Tools) -> Reply:
    """Parse a reply, and check its calls.

    Args:
        text: The reply without its thoughts.
        tools: Tools that may be called; a call of another tool is text.
    """
    text = text[:_LONGEST]
    candidates = list(find_calls(text, tools))
    calls: list[Call] = []
    is_faulty = not candidates and any(marker in text for marker in MARKERS)
    for each in candidates:
        try:
            raw = {} if each.arguments is None else each.arguments
            arguments = as_json(raw if isinstance(raw, str) else json.dumps(raw))  # OpenAI's are a text
        except ValueError:
            is_faulty = True
            continue
        if not matches(arguments, tools[each.name].parameters):
            is_faulty = True
        elif (call := Call(each.name, arguments)) not in calls:
            calls.append(call)
    return Reply(tuple(calls), _words(text, candidates), is_faulty)


def _words(text: str, candidates: Sequence[Found]) -> str:
    """The text without its calls and their markers."""
    for start, end in sorted({(each.start, each.end) for each in candidates}, reverse=True):
        text = text[:start] + text[end:]
    words = (_CLOSERS.sub("", text) if candidates else text).strip()
    return words if not candidates or re.search(r"\w", words) else ""


def find_calls(text: str, tools: Tools) -> Iterator[Found]:
    """Calls as JSON objects, alone, in lists, in code blocks or after markers; their arguments as written."""
    at = misses = 0
    while (bracket := _BRACKET.search(text, at)) and misses < _MOST:
        try:
            value, end = _DECODER.raw_decode(text, bracket.start())
        except (ValueError, RecursionError):
            value, end = None, bracket.end()
        calls = [*_named(value, tools)] if nesting(value) <= 2 * MOST_LEVELS else []
        yield from (Found(bracket.start(), end, name, arguments) for name, arguments in calls)
        at = end if calls else bracket.end()
        misses += not calls


_BRACKET = re.compile(r"[{\[]")
_DECODER = json.JSONDecoder(strict=False)
"""A model writes the line breaks of a long text as they are."""


def _named(value: Any, tools: Tools) -> Iterator[tuple[str, Any]]:
    """Names and arguments of the calls in a value."""
    if isinstance(value, list):
        for item in value:
            yield from _named(item, tools)
    if not isinstance(value, dict):
        return
    if isinstance(inner := value.get("function"), dict):
        value = inner
    for name in (value.get("name"), value.get("function")):
        if isinstance(name, str) and name in tools:
            yield name, value.get("arguments", value.get("parameters"))
            return
