"""Tools by the Model Context Protocol (https://modelcontextprotocol.io), over stdio and over HTTP.

An agent reads the docstrings of the tools, of results and of their fields, and the descriptions of arguments.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.routing import Route

from adascale import __version__
from adascale.codetasks.reading import read_tests
from adascale.codetasks.task import CodeTask, suite_of
from adascale.engine.answer import Answer, JudgedTest
from adascale.engine.errors import AdascaleError, UsageError
from adascale.engine.request import SearchRequest
from adascale.engine.strategies import Effort
from adascale.engine.types import KindName, Problem, StopReason

from .body import MAX_SEED
from .http import MAX_BODY, Refusal
from .hub import Hub
from .outcome import Outcome, result_of
from .request import Ask, new_id
from .stream import follow, lively

PATH = "/mcp"

MAX_TEST_TEXT = 64 << 10
"""Characters of all tests of a call, each with its setup; reading them takes half a second."""

_INSTRUCTIONS = (
    "A small local model that compares several solutions and says how likely its answer is to be correct. "
    "Use solve for maths and other questions with a short checkable answer, also as a second opinion on an "
    "answer of yours, and code for Python programs with tests. It does not help with texts, translations or "
    "facts to look up."
)

Question = Annotated[
    str, Field(description="The question in plain text, with all that is needed to answer it.")
]
Seed = Annotated[
    Annotated[int, Field(ge=0, le=MAX_SEED)] | None,
    Field(description="Makes the call repeatable; the result has it."),
]
Choices = Annotated[
    list[str], Field(description="Options to choose from, if the question does not name them.")
]
Tests = Annotated[
    list[str], Field(description="Python that fails if the program is wrong: asserts or test functions.")
]


class Result(BaseModel):
    """Structured content of a call, with fields of the object ``adascale`` of HTTP."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    tokens: int
    """Generated tokens of all solutions."""
    seconds: float
    seed: int
    """The same seed gives the same solutions on the same machine."""
    warnings: list[str]


class Votes(BaseModel):
    """Solutions that agree."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    agree: int
    """Number of solutions with this answer."""
    finished: int
    """Number of solutions that were written to their end."""


class Solution(Result):
    """An answer, and how sure it is."""

    answer: str | None
    """Null if no solution has an answer."""
    kind: KindName
    """Kind of the question, which decides how it is answered."""
    options: dict[str, float] | None
    """Probability of each option, if the question has some and they were read; null if not."""
    solution: str
    """The text that leads to the answer."""
    probability: float | None
    """Probability that the answer is correct; null if no calibration fits the model."""
    support: list[str]
    """How sure the answer is, in words, and how many solutions agree."""
    interval: tuple[float, float] | None
    """10 and 90 % quantiles of the probability."""
    votes: Votes
    stop_reason: StopReason


class TestedProgram(Result):
    """A program and the verdicts of its tests."""

    program: str | None
    """Python source; null if the model wrote none."""
    passes: bool
    """True if it was tested and passes every test."""
    tests: tuple[JudgedTest, ...]
    """Each test and its outcome; the detail is the program's output where another one was expected, or its
    error."""
    probability: float | None
    """Probability that it passes other tests like these; null if no calibration fits the model."""
    programs: int
    """Number of programs that were written."""
    stop_reason: StopReason


class Tools:
    """The tools; their searches run in ``hub``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def solve(
        self,
        context: Context,
        question: Question,
        choices: Choices = [],  # noqa: B006 - the SDK copies it
        effort: Annotated[
            Effort | None,
            Field(
                description="How sure to be before stopping; the default is medium. A question without a "
                "checkable answer is searched only if an effort is given."
            ),
        ] = None,
        seed: Seed = None,
    ) -> Solution:
        """Answer a question that has a checkable answer: a maths problem, a choice, yes or no, a fact.

        Writes and compares several solutions (for a fact it writes one), and gives the answer, the
        probability that it is correct, and the number of solutions that agree on it. Do not use it for
        greetings, texts, translations or programs: they get one plain reply, without a probability. Use the
        tool code for programs.
        """
        answer = await self._search(
            context,
            lambda search: search.problem(new_id()),
            question=question,
            choices=choices,
            is_searched=effort is not None,
            effort=effort or "medium",
            seed=seed,
        )
        return Solution(**result_of(answer), solution=answer.solution)

    async def code(
        self,
        context: Context,
        question: Annotated[str, Field(description="The task of the program.")],
        tests: Tests = [],  # noqa: B006
        effort: Annotated[
            Effort,
            Field(description="How many programs to write at most: low 4, medium 8, high 16, max 32."),
        ] = "medium",
        seed: Seed = None,
    ) -> TestedProgram:
        """Write a Python program that passes tests: writes and runs programs until one passes all of them.

        Without tests it writes one program, and tests nothing.
        """
        answer = await self._search(
            context, lambda _: _code_problem(question, tests), question=question, effort=effort, seed=seed
        )
        return TestedProgram(
            **result_of(answer),
            program=answer.answer,
            passes=answer.passes,
            tests=answer.tests,
            programs=len(answer.record.candidates),
        )

    async def _search(
        self, context: Context, problem: Callable[[SearchRequest], Problem], **asked: Any
    ) -> Answer:
        """Run a search to its result; its steps and votes become progress notifications.

        Args:
            context: The call.
            problem: Makes the problem, in a thread: reading many tests takes a second.
            asked: Fields of the request.

        Raises:
            ToolError: it could not run, or its client has gone (for old clients, the SDK would not notice).
        """
        request: Request | None = context.request_context.request  # None over stdio
        lines = 0
        try:
            await self._hub.wait_until_open()
            search = SearchRequest(**asked)
            ask = Ask(await asyncio.to_thread(problem, search), search)
            async with aclosing(lively(follow(self._hub.ask(ask.problem, search), ask))) as parts:
                async for part in parts:
                    if request is not None and await request.is_disconnected():
                        raise ToolError("the client has gone")
                    if isinstance(part, Outcome):
                        return part.answer
                    if part.reasoning:
                        lines += 1
                        await context.report_progress(lines, None, part.reasoning.rstrip("\n"))
        except AdascaleError as error:
            raise ToolError(Refusal.of(error).message) from None
        except Refusal as refusal:
            raise ToolError(refusal.message) from None
        raise AssertionError("the last part is the outcome")


def _code_problem(question: str, sources: Sequence[str]) -> Problem:
    """The question as a code task.

    Raises:
        UsageError: it is empty, a test cannot be used, or all together are longer than ``MAX_TEST_TEXT``.
    """
    if not question.strip():
        raise UsageError("the question is empty", slug="empty-question")
    _check_length(sources)
    tests = [test for source in sources for test in read_tests(source)]
    _check_length([test.text for test in tests])
    return CodeTask(suite_of(tests)).problem(new_id(), question.strip())


def _check_length(texts: Sequence[str]) -> None:
    if (length := sum(map(len, texts))) > MAX_TEST_TEXT:
        raise UsageError(
            f"the tests have {length:,} characters, each with the code around it, and may have "
            f"{MAX_TEST_TEXT:,}",
            hint="fewer tests, or shorter helpers of theirs",
            slug="tests-too-long",
        )


def make_mcp(hub: Hub) -> MCPServer:
    """The MCP server, for either transport; all searches run in ``hub``."""
    server = MCPServer(
        "adascale", title="adascale", instructions=_INSTRUCTIONS, version=__version__, log_level="CRITICAL"
    )
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # tracebacks of what a client has sent
    tools, hints = Tools(hub), ToolAnnotations(read_only_hint=True, open_world_hint=False)
    for tool in (tools.solve, tools.code):
        server.add_tool(tool, description=inspect.getdoc(tool), annotations=hints)
    return server


def over_http(server: MCPServer) -> Route:
    """The route of the tools; ``Access`` has checked Host, Origin and key of every request."""
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_BODY,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    [route] = app.routes
    assert isinstance(route, Route)
    # No GET: it opens a stream for messages that the server starts, and would delay our shutdown.
    return Route(PATH, route.endpoint, methods=["POST", "DELETE"])


async def serve_stdio(hub: Hub) -> None:
    """Serve on stdin and stdout until stdin ends; the models are loaded meanwhile."""
    hub.start()
    try:
        await make_mcp(hub).run_stdio_async()
    finally:
        await hub.close()
