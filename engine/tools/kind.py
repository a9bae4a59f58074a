"""The kind of requests with tools, such as "What is the weather in Paris?" with ``get_weather``.

The answer is a set of calls, which may be empty. One look, which generates nothing, says how likely a tool
fits. A solution in the mode ``call`` sees the tools, and calls them or replies; one in prose does not see
them, and replies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from ..errors import UsageError
from ..execution import Execution
from ..kinds.base import Kind, Look, Run
from ..types import Finish, Mode, Problem, Same
from .equality import key_of_calls
from .grammar import OPENING
from .judging import is_accepted
from .reading import read_reply
from .tool import NO_CALL, ToolRequest, calls_of, write_calls

QUESTION = (
    "Is one of these functions made for exactly this request, and does the request give what it needs? "
    "Answer yes or no."
)
"""P(yes) separates requests that need a call from others with an AUC of .91 (1.5b, 75 questions)."""

CALL, NO = "call", "no call"
"""The options of a look."""


class ToolCall(Kind):
    """See the module."""

    def read_details(self, question: str, record: Mapping[str, object]) -> Mapping[str, object]:
        """The conversation, the tools and, for an evaluation, the accepted calls.

        Raises:
            UsageError: the record lacks a conversation or its tools cannot be read.
        """
        messages = record.get("messages")
        if not isinstance(messages, list) or not all(map(_is_message, messages)):
            raise UsageError("messages has to be a list of objects, each with a role and its content")
        details = {"messages": messages, "tools": record.get("tools", [])}
        try:
            request = ToolRequest.of(details)
        except (KeyError, TypeError, AttributeError):
            raise UsageError("tools has to be a list of functions, as OpenAI's interface has it") from None
        return {**request.details(), "accepted": record.get("accepted")}

    def for_search(self, problem: Problem) -> Problem:
        """The problem without the accepted calls."""
        kept = {name: each for name, each in problem.details.items() if name != "accepted"}
        return replace(problem, details=kept)

    def statement(self, problem: Problem) -> str:
        """Everything that a model reads; it identifies kept solutions."""
        return json.dumps(problem.details, sort_keys=True)

    def modes(self, problem: Problem) -> tuple[Mode, ...]:
        """``call`` if calls are allowed, and ``prose`` unless a call is required."""
        if not problem.details:  # any request: a batch asks for the settings of a kind beforehand
            return ("call", "prose")
        request = ToolRequest.of(problem.details)
        if not request.may_call:
            return ("prose",)
        return ("call",) if request.choice == "required" or not request.is_asked else ("call", "prose")

    def looks(self, problem: Problem) -> tuple[Look, ...]:
        """One look: does a function fit? Only if the last message is the user's, and not a tool's result."""
        if len(self.modes(problem)) < 2:
            return ()
        return (Look("look-call", QUESTION, ("Yes", "No"), (CALL, NO)),)

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

    def is_judged(self, problem: Problem) -> bool:
        """True if the accepted calls are known."""
        return problem.details.get("accepted") is not None

    def is_right(
        self, problem: Problem, answer: str | None, execution: Execution | None, run: Run | None
    ) -> bool:
        """True if the calls are accepted, by the rule of BFCL."""
        return answer is not None and is_accepted(calls_of(answer), problem.details["accepted"])


def _is_message(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("role"), str) or "content" not in value:
        return False
    return isinstance(value["content"], str) or (value["content"] is None and "tool_calls" in value)


KIND = ToolCall()
