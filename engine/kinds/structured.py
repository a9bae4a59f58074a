"""Answers that a schema constrains: calls of tools, and JSON objects.

A request with tools, such as "What is the weather in Paris?" beside ``get_weather``, is answered by a set of
calls, which may be empty. The logits of one prompt show how likely a tool fits. A solution in the mode
``call`` sees the tools, and calls them or replies; one in prose does not see them, and replies.

A text whose content is wanted as an object of a schema, such as an order as its items, is read by each
solution. The greedy reading has the fields in the order of the schema and is the answer; each sampled one
has an order of its own, since readings that are written alike make the same mistakes. Where one of them
differs, a field of the answer is in doubt (``tools.equality``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..errors import UsageError
from ..tools.calls import NO_CALL, ToolRequest, calls_of, in_words, read_reply, write_calls
from ..tools.equality import in_order, key_of, key_of_calls
from ..tools.grammar import OPENING
from ..tools.schema import Schema, as_json, matches, object_schema
from ..types import Execution, Finish, Mode, Problem, Same
from . import Kind, OptionsPrompt

NEEDS_CALL = (
    "Is one of these functions made for exactly this request, and does the request give what it needs? "
    "Answer yes or no."
)
"""P(yes) separates requests that need a call from others with an AUC of .91 (1.5b, 75 questions)."""

CALL, NO = "call", "no call"
"""The options of that prompt."""


class ToolCall(Kind):
    """See the module."""

    def read_details(self, question: str, record: Mapping[str, object]) -> Mapping[str, object]:
        """The conversation and the tools.

        Raises:
            UsageError: the record lacks a conversation or its tools cannot be read.
        """
        messages = record.get("messages")
        if not isinstance(messages, list) or not all(map(_is_message, messages)):
            raise UsageError("messages has to be a list of objects, each with a role and its content")
        tools = record.get("tools", [])
        details = {"messages": messages, "tools": tools, "choice": "auto", "is_parallel": True}
        try:
            ToolRequest.of(details)
            in_words(messages)
        except (KeyError, TypeError, AttributeError):
            raise UsageError("tools and their calls have to be as OpenAI's interface has them") from None
        return details

    def statement(self, problem: Problem) -> str:
        """Everything that a model reads; it identifies kept solutions."""
        return json.dumps(problem.details, sort_keys=True)

    def modes(self, problem: Problem) -> tuple[Mode, ...]:
        """``call`` if calls are allowed, and ``prose`` unless a call is required."""
        if not problem.details:  # any request: a batch asks for the settings of a kind beforehand
            return super().modes(problem)
        request = ToolRequest.of(problem.details)
        if not request.may_call:
            return ("prose",)
        return ("call",) if request.choice == "required" or not request.is_asked else ("call", "prose")

    def option_prompts(self, problem: Problem) -> tuple[OptionsPrompt, ...]:
        """One look: does a function fit? Only if the last message is the user's, and not a tool's result."""
        if len(self.modes(problem)) < 2:
            return ()
        return (OptionsPrompt("look-call", NEEDS_CALL, ("Yes", "No"), (CALL, NO)),)

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The calls in the text, ``[]`` if it has none; None if one is invalid, or none is new.

        Small models repeat calls: one whose result is known is left out, unless a call is required.
        """
        if mode != "call":
            return NO_CALL
        request = ToolRequest.of(problem.details)
        reply = read_reply(text, request.tools)
        is_required = request.choice == "required"
        new = [each for each in reply.calls if is_required or request.known_result(each) is None]
        calls = new if request.is_parallel else new[:1]
        # A text without end is a reply all the same.
        is_cut = finish != "stop" and not calls and OPENING in text
        is_missing = not calls and (is_required or bool(reply.calls))
        return None if reply.is_faulty or is_cut or is_missing else write_calls(calls)

    def equality(self, problem: Problem) -> Same:
        """True for equal sets of calls (``equality``)."""
        tools = ToolRequest.of(problem.details).tools
        return lambda a, b: a == b or key_of_calls(calls_of(a), tools) == key_of_calls(calls_of(b), tools)


def _is_message(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("role"), str) or "content" not in value:
        return False
    return isinstance(value["content"], str) or (value["content"] is None and "tool_calls" in value)


def schema_of(problem: Problem) -> Schema:
    """The schema of a problem, without references."""
    return object_schema(problem.details["schema"])


class JsonObject(Kind):
    """See the module."""

    def read_details(self, question: str, record: Mapping[str, object]) -> Mapping[str, object]:
        """The schema.

        Raises:
            UsageError: it is none of an object, or too large.
        """
        object_schema(record.get("schema"))
        return {"schema": record["schema"]}

    def statement(self, problem: Problem) -> str:
        """The schema, and below it the text."""
        schema = json.dumps(problem.details["schema"], ensure_ascii=False)
        return f"JSON schema: {schema}\n\n{problem.question}"

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The object, its fields in the order of the schema; None if it does not match the schema."""
        schema = schema_of(problem)
        try:
            content = as_json(text)
        except ValueError:
            return None
        if not isinstance(content, dict) or not matches(content, schema):
            return None
        return json.dumps(in_order(content, schema), ensure_ascii=False)

    def equality(self, problem: Problem) -> Same:
        """True for objects with the same fields."""
        schema = schema_of(problem)
        return lambda a, b: a == b or key_of(json.loads(a), schema) == key_of(json.loads(b), schema)

    def matches(self, problem: Problem, answer: str, gold: str) -> bool:
        """True if all fields equal the fields of the known answer, which is JSON too."""
        try:
            return super().matches(problem, answer, gold)
        except ValueError:
            return False
