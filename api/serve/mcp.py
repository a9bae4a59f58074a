"""Tools by the Model Context Protocol (https://modelcontextprotocol.io), over stdio and over HTTP.

An agent reads the descriptions of tools and arguments, and the docstrings of results and their fields.
"""

from __future__ import annotations

import asyncio
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
from .http import MAX_BODY, Refusal, while_connected
from .hub import Hub
from .outcome import Outcome, result_of
from .request import Ask, new_id
from .stream import follow

PATH = "/mcp"

MAX_TEST_TEXT = 64 << 10
"""Characters of all tests of a call, each with its setup; reading them takes half a second."""

_INSTRUCTIONS = (
    "A small local model that compares several solutions and says how likely its answer is to be correct. "
    "Use solve for maths and other questions with a short checkable answer, also as a second opinion on an "
    "answer of yours, and code for Python programs with tests. It does not help with texts, translations or "
    "facts to look up."
)

_SOLVE = """\
Answer a question that has a checkable answer: a maths problem, a choice, yes or no, a fact.

Writes and compares several solutions (for a fact it writes one), and gives the answer, the probability that
it is correct, and the number of solutions that agree on it. Do not use it for greetings, texts, translations
or programs: they get one plain reply, without a probability. Use the tool code for programs."""

_CODE = """\
Write a Python program that passes tests: writes and runs programs until one passes all of them.

Without tests it writes one program, and tests nothing."""

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


def make_mcp(hub: Hub) -> MCPServer:
    """The MCP server, for either transport; all searches run in ``hub``."""
    server = MCPServer(
        "adascale", title="adascale", instructions=_INSTRUCTIONS, version=__version__, log_level="CRITICAL"
    )
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # tracebacks of a client's faults
    hints = ToolAnnotations(read_only_hint=True, open_world_hint=False)

    async def follow_search(context: Context, ask: Ask) -> Answer:
        """The answer of a search, whose steps and votes become progress notifications."""
        lines = 0
        async with aclosing(follow(hub.ask(ask.problem, ask.search), ask)) as parts:
            async for part in parts:
                if isinstance(part, Outcome):
                    return part.answer
                if part.kind == "reasoning":
                    lines += 1
                    await context.report_progress(lines, None, part.text.rstrip("\n"))
        raise AssertionError("the last part is the outcome")

    async def search(context: Context, problem: Callable[[SearchRequest], Problem], **fields: Any) -> Answer:
        """Run a search of a call.

        Args:
            context: The call.
            problem: Makes the problem, in a thread: reading many tests takes a second.
            fields: Fields of the search request.

        Raises:
            ToolError: it could not run.
            ClientDisconnect: the client has disconnected, which the SDK does not notice for old clients.
        """
        http_request: Request | None = context.request_context.request  # None over stdio
        try:
            await hub.wait_until_open()
            request = SearchRequest(**fields)
            work = follow_search(context, Ask(await asyncio.to_thread(problem, request), request))
            return await (work if http_request is None else while_connected(http_request, work))
        except AdascaleError as error:
            raise ToolError(Refusal.of(error).message) from None
        except Refusal as refusal:
            raise ToolError(refusal.message) from None

    @server.tool(description=_SOLVE, annotations=hints)
    async def solve(
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
        answer = await search(
            context,
            lambda request: request.problem(new_id()),
            question=question,
            choices=choices,
            is_searched=effort is not None,
            effort=effort or "medium",
            seed=seed,
        )
        return Solution(**result_of(answer), solution=answer.solution)

    @server.tool(description=_CODE, annotations=hints)
    async def code(
        context: Context,
        question: Annotated[str, Field(description="The task of the program.")],
        tests: Tests = [],  # noqa: B006
        effort: Annotated[
            Effort,
            Field(description="How many programs to write at most: low 4, medium 8, high 16, max 32."),
        ] = "medium",
        seed: Seed = None,
    ) -> TestedProgram:
        answer = await search(
            context, lambda _: _code_problem(question, tests), question=question, effort=effort, seed=seed
        )
        return TestedProgram(
            **result_of(answer),
            program=answer.answer,
            passes=answer.passes,
            tests=answer.tests,
            programs=len(answer.record.candidates),
        )

    return server


def _code_problem(question: str, sources: Sequence[str]) -> Problem:
    """The question as a code task.

    Raises:
        UsageError: it is empty, a test cannot be used, or all together are longer than ``MAX_TEST_TEXT``.
    """
    if not question.strip():
        raise UsageError("the question is empty", slug="empty-question")
    tests = [test for source in sources for test in read_tests(source)]
    if (length := sum(len(test.setup) + len(test.source) for test in tests)) > MAX_TEST_TEXT:
        raise UsageError(
            f"the tests have {length:,} characters, each with the code around it, and may have "
            f"{MAX_TEST_TEXT:,}",
            hint="fewer tests, or shorter helpers of theirs",
            slug="tests-too-long",
        )
    return CodeTask(suite_of(tests)).problem(new_id(), question.strip())


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
