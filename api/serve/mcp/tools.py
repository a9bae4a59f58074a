"""What an agent can call: ``solve`` a question, write ``code`` that passes tests, ``check`` an answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from starlette.requests import Request as HttpRequest

from adascale.engine.answers.checkable import asks_for_answer
from adascale.engine.answers.equality import same_answer
from adascale.engine.errors import UsageError
from adascale.engine.search.events import SearchFailed
from adascale.engine.search.record import Record
from adascale.engine.strategies import EFFORTS, Effort, ModeChoice
from adascale.engine.types import Budget, Problem

from ..http.connection import client_address
from ..http.errors import Refusal
from ..search.progress import progress_line
from ..search.request import MAX_SEED, ServedEffort
from ..search.searches import Ask, Searches, strategy_of
from .results import Check, Solution, TestedProgram

Question = Annotated[
    str, Field(description="The question in plain text, with all that is needed to answer it.")
]
Task = Annotated[str, Field(description="What the program should do.")]
Tests = Annotated[
    Sequence[str],
    Field(description="Python that fails where the program is wrong: asserts or test functions."),
]
Answer = Annotated[str, Field(description="The answer to check, without its solution.", max_length=2000)]
HowSure = Annotated[Effort, Field(description="How sure to get before stopping.")]
HowSureIfAny = Annotated[
    Effort | None,
    Field(
        description="How sure to get before stopping: medium if the question asks for an answer that can be "
        "checked; otherwise one plain reply is written."
    ),
]
MaxTokens = Annotated[int | None, Field(description="Most tokens to generate.", ge=1)]
Seed = Annotated[
    int | None, Field(description="Makes the call repeatable; the result has it.", ge=0, le=MAX_SEED)
]

MAX_TEST_TEXT = 64 << 10
"""Characters of the tests of a call, each with its setup: half a second of reading, and less per program."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools over the searches of a server; a docstring is what an agent reads of its tool."""

    searches: Searches

    async def solve(
        self,
        context: Context[Any, Any],
        question: Question,
        effort: HowSureIfAny = None,
        budget: MaxTokens = None,
        seed: Seed = None,
    ) -> Solution:
        """Answer a question with a checkable answer, such as a maths problem, by searching over solutions.

        Gives the answer, the probability that it is right, and how many solutions agree on it.
        Not for greetings, texts, translations or code: they get one plain reply and no probability.
        """
        with _tool_errors():
            problem = _problem(question)
            wanted: ServedEffort = effort or ("medium" if asks_for_answer(question) else "chat")
            problem = replace(problem, kind="text" if wanted == "chat" else "value")
            mode: ModeChoice = "prose" if problem.is_chat else "auto"
            ask = Ask(problem, strategy_of(wanted), mode, Budget(budget), seed)
            record = await self._search(ask, context)
        return Solution.of(record)

    async def code(
        self,
        context: Context[Any, Any],
        question: Task,
        tests: Tests = (),
        effort: HowSure = "medium",
        budget: MaxTokens = None,
        seed: Seed = None,
    ) -> TestedProgram:
        """Write a Python program that passes tests: programs are drawn and run until one passes all of them.

        Without tests the examples in the question are the tests.
        """
        with _tool_errors():
            # In a thread: reading many tests takes a second, in which the others' searches go on.
            problem = await asyncio.to_thread(_code_problem, question, tests)
            ask = Ask(problem, EFFORTS["code"][effort], limits=Budget(budget), seed=seed)
            record = await self._search(ask, context)
        return TestedProgram.of(record)

    async def check(
        self,
        context: Context[Any, Any],
        question: Question,
        answer: Answer,
        effort: HowSure = "medium",
        budget: MaxTokens = None,
        seed: Seed = None,
    ) -> Check:
        """Say how likely an answer is right: the question is solved several times without seeing the answer.

        Gives how many solutions agree with it, and its probability where the model is calibrated.
        """
        with _tool_errors():
            if not answer.strip():
                raise UsageError("the answer is empty")
            ask = Ask(_problem(question), EFFORTS["value"][effort], limits=Budget(budget), seed=seed)
            record = await self._search(ask, context)
        # Computer algebra may take seconds, in which the others' searches go on.
        same = [each for each in record.groups if await asyncio.to_thread(same_answer, answer, each.answer)]
        return Check.of(record, same)

    async def _search(self, ask: Ask, context: Context[Any, Any]) -> Record:
        """The record of a search that has a result; its steps and votes are progress notifications.

        Raises:
            Refusal: it could not run.
            ToolError: the client has gone. The SDK would go on for one of a version before 2026.
        """
        await self.searches.hub.wait_until_open()
        request: HttpRequest | None = context.request_context.request  # None over stdio
        if request is not None:
            ask = replace(ask, client=client_address(request))
        record: Record | None = None
        lines = 0
        with self.searches.run(ask) as events:
            async for event in events:
                if request is not None and await request.is_disconnected():
                    raise ToolError("the client has gone")
                if event is None:
                    continue
                if isinstance(event, SearchFailed):
                    raise Refusal.of(event.error())
                record = Record.after(record, event)
                if line := progress_line(record, event):
                    lines += 1
                    await context.report_progress(lines, message=line.rstrip("\n"))
        assert record is not None, "a search has a beginning"
        return record


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Make an error that is foreseen one that the agent reads."""
    try:
        yield
    except UsageError as error:
        raise ToolError(Refusal.of(error).message) from error
    except Refusal as refusal:
        raise ToolError(refusal.message) from refusal


def _problem(question: str) -> Problem:
    """The problem of a call.

    Raises:
        UsageError: the question is empty.
    """
    if not question.strip():
        raise UsageError("the question is empty", slug="empty-question")
    return Problem(f"mcp-{secrets.token_hex(12)}", question.strip())


def _code_problem(question: str, sources: Sequence[str]) -> Problem:
    """The code task of a call; without tests the examples in the question are the tests.

    Raises:
        UsageError: the question is empty, a test cannot be used, or all together are longer than
            ``MAX_TEST_TEXT``.
    """
    from adascale.codetasks.asserts import read_tests
    from adascale.codetasks.examples import read_examples
    from adascale.codetasks.records import task_of

    asked = _problem(question)
    _check_length(sources or [question])
    tests = [test for source in sources for test in read_tests(source)] or read_examples(question)
    _check_length([test.text for test in tests])
    return task_of(question, tests).problem(asked.id, asked.question)


def _check_length(texts: Sequence[str]) -> None:
    if (length := sum(map(len, texts))) > MAX_TEST_TEXT:
        raise UsageError(
            f"the tests have {length:,} characters, each with the code around it, and may have "
            f"{MAX_TEST_TEXT:,}",
            hint="fewer tests, or shorter helpers of theirs",
            slug="tests-too-long",
        )
