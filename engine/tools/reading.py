"""Parses the calls in a model's text, in any of a table of formats.

Models do not always write the format of their template: the Qwen coders write bare JSON or a code block
instead of ``<tool_call>``. So every format is tried on every text, and a call counts only if it names a known
tool.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..codec import nesting
from .schema import MOST_LEVELS, as_json, fault, mended
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
    r"|<\|/?tool_call(?:_start|_end)?\|>|<(?:start|end)_function_call>|```\w*|print\(\s*\)|\[[\s,]*\]"
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
        faults: Why other calls are invalid; a reply with a fault must not be used.
    """

    calls: tuple[Call, ...]
    text: str
    faults: tuple[str, ...] = ()


def read_reply(text: str, tools: Tools) -> Reply:
    """Parse a reply: its calls are checked, and simple type errors repaired.

    Args:
        text: The reply without its thoughts.
        tools: Tools that may be called; a call of another tool is text.
    """
    text = text[:_LONGEST]
    found = next((there for read in FORMATS if (there := list(read(text, tools)))), [])
    calls: list[Call] = []
    faults: list[str] = []
    for each in found:
        schema = tools[each.name].parameters
        try:
            arguments = mended(as_json({} if each.arguments is None else each.arguments), schema)
        except ValueError as error:
            faults.append(f"{each.name} is no JSON: {error}")
            continue
        if wrong := fault(arguments, schema, each.name):
            faults.append(wrong)
        elif (call := Call(each.name, arguments)) not in calls:
            calls.append(call)
    if not found and (opened := next((marker for marker in MARKERS if marker in text), None)):
        faults.append(f"there is no call of a known tool behind {opened}")
    return Reply(tuple(calls), _words(text, found, tools), tuple(faults))


def _words(text: str, found: Sequence[Found], tools: Tools) -> str:
    """The text without its calls and their markers.

    A call that was begun as ``NAME(`` and goes on under a grammar has a name on the line before it.
    """
    if not found:
        return text.strip()
    names = "|".join(map(re.escape, tools))
    begun = re.compile(rf"(?m)^[ \t\[]*(?:{names})[ \t(]*\Z")
    kept, at = [], 0
    for each in sorted(found, key=lambda each: each.start):
        kept.append(begun.sub("", text[at : each.start]))
        at = max(at, each.end)
    words = _CLOSERS.sub("", "".join((*kept, text[at:]))).strip()
    return words if re.search(r"\w", words) else ""


def _json_calls(text: str, tools: Tools) -> Iterator[Found]:
    """JSON objects, alone, in lists, in code blocks or after markers."""
    at = missed = 0
    while (found := _BRACKET.search(text, at)) and missed < _MOST:
        value, end = _read_value(text, found.start())
        calls = [*_named(value, tools)] if nesting(value) <= 2 * MOST_LEVELS else []
        yield from (Found(found.start(), end, name, arguments) for name, arguments in calls)
        at = end if calls else found.end()
        missed += not calls


_BRACKET = re.compile(r"[{\[]")
_DECODER = json.JSONDecoder(strict=False)
"""A model writes the line breaks of a long text as they are."""


def _read_value(text: str, start: int) -> tuple[Any, int]:
    """The JSON or Python value at a place, and its end; None if there is none."""
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        end = _closing(text, start)
    if end < 0:
        return None, start
    literal = re.sub(r",(\s*[}\]])", r"\1", text[start:end])
    for read in (_DECODER.decode, ast.literal_eval):
        try:
            return read(literal), end
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None, start


def _closing(text: str, start: int) -> int:
    """The position after the bracket that closes the one at ``start``; -1 if there is none."""
    depth, quote, at = 0, "", start
    while at < len(text):
        c = text[at]
        if quote:
            at += c == "\\"
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c in "{[(":
            depth += 1
        elif c in "}])":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return -1


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
        yield named, _as_object(given)
    elif len(value) == 1 and (name := next(iter(value))) in tools:
        yield name, _as_object(value[name])


def _as_object(given: Any) -> Any:
    """Arguments as an object; a text with a JSON object in it is parsed."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given) if given.strip() else {}
    except (ValueError, RecursionError):
        return given


_XML = re.compile(
    r"<(?:function|invoke|tool)(?:=|\s+name=)\"?([\w.:-]+)\"?\s*>(.*?)(?:</(?:function|invoke|tool)>|$)", re.S
)
_XML_ARGUMENT = re.compile(
    r"<(?:parameter|param|arg)(?:=|\s+name=)\"?([\w.:-]+)\"?\s*>\n?(.*?)\n?</(?:parameter|param|arg)>", re.S
)


def _xml_calls(text: str, tools: Tools) -> Iterator[Found]:
    """``<function=NAME><parameter=KEY>VALUE</parameter></function>``: Qwen3-Coder, MiniCPM, Llama 3.1."""
    for found in _XML.finditer(text):
        name, body = found[1], found[2]
        if name not in tools:
            continue
        pairs = {key: value for key, value in _XML_ARGUMENT.findall(body)}
        arguments = pairs or _as_object(body.strip())
        yield Found(found.start(), found.end(), name, _typed(arguments, name, tools))


_GEMMA = re.compile(
    r"call:([\w.-]+)\{(.*?)\}(?=\s*(?:<end_function_call>|<start_function_call>|call:|$))", re.S
)
_GEMMA_ARGUMENT = re.compile(r"([\w.-]+):(?:<escape>(.*?)<escape>|([^,{}]*))", re.S)


def _gemma_calls(text: str, tools: Tools) -> Iterator[Found]:
    """``call:NAME{KEY:<escape>VALUE<escape>,KEY:1}``: FunctionGemma."""
    for found in _GEMMA.finditer(text):
        if found[1] in tools:
            pairs = {key: escaped or bare for key, escaped, bare in _GEMMA_ARGUMENT.findall(found[2])}
            yield Found(found.start(), found.end(), found[1], _typed(pairs, found[1], tools))


_MISTRAL = re.compile(r"(?<![\w.-])([\w.-]+)\s*\[ARGS\]\s*(?=\{)")


def _mistral_calls(text: str, tools: Tools) -> Iterator[Found]:
    """``NAME[ARGS]{...}``: Mistral since 2025."""
    for found in _MISTRAL.finditer(text):
        value, end = _read_value(text, found.end())
        if found[1] in tools and isinstance(value, dict):
            yield Found(found.start(), end, found[1], value)


def _typed(arguments: Any, name: str, tools: Tools) -> Any:
    """Arguments whose values are texts; they are parsed as JSON if the schema wants another type."""
    if not isinstance(arguments, dict):
        return arguments
    properties = tools[name].parameters["properties"]
    return {key: _read_as(value, properties.get(key, {})) for key, value in arguments.items()}


def _read_as(value: Any, schema: Mapping[str, Any]) -> Any:
    if not isinstance(value, str) or not fault(value, schema):
        return value
    return _as_object(value) if value.strip()[:1] in ("{", "[") else value


def _python_calls(text: str, tools: Tools) -> Iterator[Found]:
    """``NAME(KEY=VALUE)``, alone, in a list, in a code block or in ``print``: Llama 3.2, LFM, Gemma 3."""
    if not tools:
        return
    names = "|".join(re.escape(name) for name in sorted(tools, key=len, reverse=True))
    at = missed = 0
    pattern = re.compile(rf"(?<![\w.])({names})\s*\(")
    while (found := pattern.search(text, at)) and missed < _MOST:
        start = found.end() - 1
        end = _closing(text, start)
        arguments = None if end < 0 else _python_arguments(text[start:end], found[1], tools)
        if arguments is not None:
            yield Found(found.start(), end, found[1], arguments)
        at = found.end() if arguments is None else end
        missed += arguments is None


def _python_arguments(bracket: str, name: str, tools: Tools) -> dict[str, Any] | None:
    """The arguments in ``(...)``; positional ones get the names of the schema, in order."""
    try:
        called = ast.parse(f"f{bracket}", mode="eval").body
        if not isinstance(called, ast.Call):
            return None
        known = list(tools[name].parameters["properties"])
        if len(called.args) > len(known) or any(each.arg is None for each in called.keywords):
            return None
        unnamed = {key: ast.literal_eval(each) for key, each in zip(known, called.args, strict=False)}
        return unnamed | {str(each.arg): ast.literal_eval(each.value) for each in called.keywords}
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


FORMATS: tuple[Callable[[str, Tools], Iterator[Found]], ...] = (
    _mistral_calls,
    _xml_calls,
    _gemma_calls,
    _json_calls,
    _python_calls,
)
"""All formats; the first one that finds a call in a text is used."""
