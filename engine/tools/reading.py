"""Parses the calls in a model's text: JSON, wherever it stands, that names a known tool.

A call that is written under a grammar always has the same form. One that follows other words, where no
grammar begins, is written as the model likes: in a code block, or with other names for its parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..codec import nesting
from .schema import MOST_LEVELS, as_json, matches, mended
from .tool import Call, Tools

MARKERS = (
    "<tool_call>",  # Hermes, Qwen, SmolLM3, Granite
    "[TOOL_CALLS]",  # Mistral
    "<|python_tag|>",  # Llama 3
    "<|tool_call|>",  # Phi-4-mini
    "<|tool_call_start|>",  # LFM
    "<start_function_call>",  # FunctionGemma
    "<function_call>",
    "<tools>",  # the Qwen 2.5 coders, sometimes
)
"""Texts that begin a call."""

_CLOSERS = re.compile(
    r"</?(?:tool_call|tools|tool_response|function_call)>|\[/?TOOL_CALLS\]|<\|(?:python_tag|eom_id)\|>"
    r"|<\|/?tool_call(?:_start|_end)?\|>|<(?:start|end)_function_call>|```\w*|\[[\s,]*\]"
)

_NAMES = ("name", "function", "tool", "tool_name", "function_name", "action")
_ARGUMENTS = ("arguments", "parameters", "args", "params", "input", "kwargs", "action_input")
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
    """Parse a reply: its calls are checked, and simple type errors repaired.

    Args:
        text: The reply without its thoughts.
        tools: Tools that may be called; a call of another tool is text.
    """
    text = text[:_LONGEST]
    found = list(find_calls(text, tools))
    calls: list[Call] = []
    is_faulty = not found and any(marker in text for marker in MARKERS)
    for each in found:
        schema = tools[each.name].parameters
        try:
            arguments = mended(as_json({} if each.arguments is None else each.arguments), schema)
        except ValueError:
            is_faulty = True
            continue
        if not matches(arguments, schema):
            is_faulty = True
        elif (call := Call(each.name, arguments)) not in calls:
            calls.append(call)
    return Reply(tuple(calls), _words(text, found, tools), is_faulty)


def _words(text: str, found: Sequence[Found], tools: Tools) -> str:
    """The text without its calls and their markers.

    A call that was begun as ``NAME(`` or ``<function`` and goes on under a grammar has a part of that on the
    line before it.
    """
    if not found:
        return text.strip()
    names = "|".join(map(re.escape, tools))
    begun = re.compile(rf"(?m)^[ \t\[]*(?:<\w*|(?:print\()?(?:{names})[ \t(]*)\Z")
    kept, at = [], 0
    for each in found:
        kept.append(begun.sub("", text[at : each.start]))
        at = max(at, each.end)
    words = _CLOSERS.sub("", "".join((*kept, text[at:]))).strip()
    return words if re.search(r"\w", words) else ""


def find_calls(text: str, tools: Tools) -> Iterator[Found]:
    """Calls as JSON objects, alone, in lists, in code blocks or after markers; their arguments as written."""
    at = missed = 0
    while (found := _BRACKET.search(text, at)) and missed < _MOST:
        try:
            value, end = _DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            value, end = None, found.end()
        calls = [*_named(value, tools)] if nesting(value) <= 2 * MOST_LEVELS else []
        yield from (Found(found.start(), end, name, arguments) for name, arguments in calls)
        at = end if calls else found.end()
        missed += not calls


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
    named = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    if named is not None and named in tools:
        given = next((value[key] for key in _ARGUMENTS if value.get(key) is not None), None)
        if given is None:
            others = (*_NAMES, *_ARGUMENTS, "type", "id")
            given = {key: item for key, item in value.items() if key not in others}
        yield named, given
    elif len(value) == 1 and (name := next(iter(value))) in tools:
        yield name, value[name]
