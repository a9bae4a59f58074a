"""The tools by the Model Context Protocol (https://modelcontextprotocol.io), over stdio and over HTTP.

An agent reads the docstrings of the tools and the descriptions of their arguments.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ToolAnnotations
from pydantic import Field
from starlette.requests import Request
from starlette.routing import Route

from adascale import __version__
from adascale.engine.errors import AdascaleError
from adascale.engine.search.events import SearchFailed
from adascale.engine.search.record import Record
from adascale.engine.strategies import Effort

from ..bodies.fields import MAX_SEED, Tokens
from ..follow import progress_line
from ..hub import Ask, Hub
from ..wire.http import MAX_BODY, Refusal
from .tools import Check, Solution, TestedProgram, asked, checking, coding, equal_answers

PATH = "/mcp"

SESSION_HEADER = "Mcp-Session-Id"
"""Header of a response that a client sends back with its next request."""

_INSTRUCTIONS = (
    "A small local model that compares several solutions and says how likely its answer is to be correct. "
    "Use solve for maths and other questions with a short checkable answer, code for Python programs with "
    "tests, and check for a second opinion on an answer. It does not help with texts, translations or facts "
    "to look up."
)

Question = Annotated[
    str, Field(description="The question in plain text, with all that is needed to answer it.")
]
OwnBudget = Annotated[Tokens | None, Field(description="Limit of generated tokens of the whole search.")]
Seed = Annotated[
    Annotated[int, Field(ge=0, le=MAX_SEED)] | None,
    Field(description="Makes the call repeatable; the result has it."),
]


def make_mcp(hub: Hub) -> MCPServer:
    """The MCP server, for either transport; all searches run in ``hub``."""
    server = MCPServer(
        "adascale", title="adascale", instructions=_INSTRUCTIONS, version=__version__, log_level="CRITICAL"
    )
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # tracebacks of what a client has sent

    def tool(run: Callable[..., Awaitable[Any]]) -> None:
        hints = ToolAnnotations(read_only_hint=True, open_world_hint=False)
        server.add_tool(run, description=inspect.getdoc(run), annotations=hints)

    @tool
    async def solve(
        context: Context,
        question: Question,
        choices: Annotated[
            list[str], Field(description="Options to choose from, if the question does not name them.")
        ] = [],  # noqa: B006 - the SDK copies it
        effort: Annotated[
            Effort | None,
            Field(
                description="How sure to be before stopping; the default is medium. A question without a "
                "checkable answer is searched only if an effort is given."
            ),
        ] = None,
        budget: OwnBudget = None,
        seed: Seed = None,
    ) -> Solution:
        """Answer a question that has a checkable answer: a maths problem, a choice, yes or no, a fact.

        Writes and compares several solutions (for a fact it writes one), and gives the answer, the
        probability that it is correct, and the number of solutions that agree on it. Do not use it for
        greetings, texts, translations or programs: they get one plain reply, without a probability. Use the
        tool code for programs.
        """
        is_searched = effort is not None

        def ask() -> Ask:
            return asked(question, effort or "medium", budget, seed, is_searched=is_searched, choices=choices)

        return Solution.of(await _search(hub, ask, context))

    @tool
    async def code(
        context: Context,
        question: Annotated[str, Field(description="The task of the program.")],
        tests: Annotated[
            list[str],
            Field(description="Python that fails if the program is wrong: asserts or test functions."),
        ] = [],  # noqa: B006
        effort: Annotated[
            Effort,
            Field(description="How many programs to write at most: low 4, medium 8, high 16, max 32."),
        ] = "medium",
        budget: OwnBudget = None,
        seed: Seed = None,
    ) -> TestedProgram:
        """Write a Python program that passes tests: writes and runs programs until one passes all of them.

        Without tests, the examples in the question are the tests.
        """

        def ask() -> Ask:
            return coding(asked(question, effort, budget, seed), tests, effort)

        return TestedProgram.of(await _search(hub, ask, context))

    @tool
    async def check(
        context: Context,
        question: Question,
        answer: Annotated[
            str, Field(max_length=2000, description="The answer to check, without its solution.")
        ],
        effort: Annotated[Effort, Field(description="How sure to be before stopping.")] = "medium",
        budget: OwnBudget = None,
        seed: Seed = None,
    ) -> Check:
        """Say how likely an answer is to be correct, by solving the question several times without seeing it.

        Gives the number of solutions that agree with the answer, and its probability if the model is
        calibrated.
        """
        record = await _search(hub, lambda: checking(asked(question, effort, budget, seed), answer), context)
        # In a thread, so that the others' searches go on.
        return await asyncio.to_thread(lambda: Check.of(record, equal_answers(record, answer)))

    return server


async def _search(hub: Hub, ask: Callable[[], Ask], context: Context) -> Record:
    """Run a search to its result; its steps and votes become progress notifications.

    Args:
        hub: Runs it.
        ask: Makes the search, in a thread: reading many tests takes a second.
        context: The call.

    Raises:
        ToolError: it could not run, or its client has gone (for old clients, the SDK would not notice).
    """
    request: Request | None = context.request_context.request  # None over stdio
    record: Record | None = None
    lines = 0
    try:
        await hub.wait_until_open()
        async with aclosing(hub.ask(await asyncio.to_thread(ask))) as events:
            async for event in events:
                if request is not None and await request.is_disconnected():
                    raise ToolError("the client has gone")
                if event is None:
                    continue
                if isinstance(event, SearchFailed):
                    raise event.error()
                record = Record.after(record, event)
                if line := progress_line(record, event):
                    lines += 1
                    await context.report_progress(lines, None, line.rstrip("\n"))
    except AdascaleError as error:
        raise ToolError(Refusal.of(error).message) from None
    except Refusal as refusal:
        raise ToolError(refusal.message) from None
    assert record is not None, "a search has a beginning"
    return record


def over_http(server: MCPServer) -> Route:
    """The route of the tools; ``guard`` has checked Host, Origin and key of every request."""
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
