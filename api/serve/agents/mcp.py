"""The tools by the Model Context Protocol (https://modelcontextprotocol.io), over stdio and over HTTP."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.message import SessionMessage
from mcp_types import (
    PARSE_ERROR,
    CallToolRequestParams,
    CallToolResult,
    ErrorData,
    JSONRPCError,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import ASGIApp

from adascale import __version__
from adascale.engine.errors import UsageError
from adascale.engine.search.events import SearchFailed
from adascale.engine.search.record import Record

from ..follow import progress_line
from ..hub import Ask, Hub
from ..wire.http import Refusal, client_address
from .tools import TOOLS

Context = ServerRequestContext[Any, HttpRequest]

_MAX_SESSIONS = 256
_IDLE_SECONDS = 300.0
"""Time after which an idle session ends; the client's next request opens another."""

_NO_MESSAGE = JSONRPCError(
    jsonrpc="2.0",
    id=None,
    error=ErrorData(code=PARSE_ERROR, message="the line is no message of JSON-RPC 2.0"),
)

_INSTRUCTIONS = (
    "A small local model that compares several solutions and says how likely its answer is to be correct. "
    "Use solve for maths and other questions with a short checkable answer, code for Python programs with "
    "tests, and check for a second opinion on an answer. It does not help with texts, translations or facts "
    "to look up."
)


def make_mcp(hub: Hub) -> Server[Any]:
    """The MCP server, for either transport; all searches run in ``hub``."""
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # tracebacks of what a client has sent

    async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        listed = [
            Tool(
                name=name,
                description=inspect.getdoc(arguments),
                input_schema=arguments.model_json_schema(),
                output_schema=result.model_json_schema(mode="serialization"),
                annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
            )
            for name, (arguments, result, _) in TOOLS.items()
        ]
        return ListToolsResult(tools=listed)

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        async def search(ask: Ask) -> Record:
            return await _search(hub, ask, context)

        try:
            if params.name not in TOOLS:
                raise UsageError(f'there is no tool "{params.name}", only {", ".join(TOOLS)}')
            arguments, _, run = TOOLS[params.name]
            result = await run(arguments.read(params.arguments or {}), search)
        except (Refusal, UsageError) as error:  # the agent reads it
            refusal = error if isinstance(error, Refusal) else Refusal.of(error)
            return CallToolResult(content=[TextContent(type="text", text=refusal.message)], is_error=True)
        text = TextContent(type="text", text=result.model_dump_json(indent=2))
        return CallToolResult(content=[text], structured_content=result.model_dump(mode="json"))

    return Server(
        "adascale",
        title="adascale",
        instructions=_INSTRUCTIONS,
        version=__version__,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _search(hub: Hub, ask: Ask, context: Context) -> Record:
    """Run a search to its result; its steps and votes become progress notifications.

    Raises:
        Refusal: it could not run, or its client has gone (for old clients, the SDK would not notice).
    """
    await hub.wait_until_open()
    request = context.request  # None over stdio
    client = "" if request is None else client_address(request)
    record: Record | None = None
    lines = 0
    async with aclosing(hub.ask(ask, client)) as events:
        async for event in events:
            if request is not None and await request.is_disconnected():
                raise Refusal(400, "the client has gone", "client-gone")
            if event is None:
                continue
            if isinstance(event, SearchFailed):
                raise Refusal.of(event.error())
            record = Record.after(record, event)
            if line := progress_line(record, event):
                lines += 1
                await context.session.report_progress(lines, None, line.rstrip("\n"))
    assert record is not None, "a search has a beginning"
    return record


@asynccontextmanager
async def over_http(hub: Hub, path: str) -> AsyncIterator[ASGIApp]:
    """The tools over HTTP at ``path``; ``guard`` has checked Host, Origin and key of every request."""
    server = make_mcp(hub)
    app = server.streamable_http_app(
        streamable_http_path=path,
        max_sessions=_MAX_SESSIONS,
        session_idle_timeout=_IDLE_SECONDS,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    [route] = app.routes
    assert isinstance(route, Route)
    endpoint: ASGIApp = route.endpoint
    async with server.session_manager.run():
        yield endpoint


async def serve_stdio(hub: Hub) -> None:
    """Serve on stdin and stdout until stdin ends; the models are loaded meanwhile."""
    hub.start()
    server = make_mcp(hub)
    try:
        async with stdio_server() as (read, write), anyio.create_task_group() as group:
            told, messages = anyio.create_memory_object_stream[SessionMessage | Exception](0)

            async def refuse_what_is_no_message() -> None:
                async with told, read:
                    async for item in read:
                        if isinstance(item, Exception):  # the SDK would pass it over, and its client wait
                            await write.send(SessionMessage(_NO_MESSAGE))
                        else:
                            await told.send(item)

            group.start_soon(refuse_what_is_no_message)
            await server.run(messages, write, server.create_initialization_options())
            group.cancel_scope.cancel()
    finally:
        await hub.close()
