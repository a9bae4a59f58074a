"""The tools over stdio, for a client that starts the server itself, and over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ToolAnnotations
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adascale import __version__

from ..http.connection import read_body
from ..search.searches import Searches
from .tools import Tools

PATH = "/mcp"
"""Of the HTTP server."""

_MAX_SESSIONS = 256

_INSTRUCTIONS = (
    "A small local model that searches over many solutions and says how likely its answer is right. Use "
    "solve for maths and other questions with a short checkable answer, code for Python programs with tests, "
    "and check for a second opinion on an answer."
)


def make_mcp(searches: Searches) -> MCPServer[Any]:
    """The server of the tools, for either transport."""
    with _same_log():
        server = MCPServer[Any]("adascale", title="adascale", instructions=_INSTRUCTIONS, version=__version__)
    tools = Tools(searches)
    for tool in (tools.solve, tools.code, tools.check):
        server.add_tool(
            tool,
            structured_output=True,
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )
    return server


@contextmanager
def _same_log() -> Iterator[None]:
    """Undo what MCPServer does to the log of the whole process, and keep its own to errors.

    Its handler draws tracebacks with the source, and where no file can be opened it raises in the event loop.
    """
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    logging.getLogger("mcp").setLevel(logging.ERROR)


def http_route(server: MCPServer[Any]) -> Route:
    """Its route for the app, which answers while ``server.session_manager.run()`` lasts."""
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        max_sessions=_MAX_SESSIONS,
        # ``guard`` checks Host, Origin and key of every request, before this is reached.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    [route] = app.routes
    assert isinstance(route, Route)
    # No GET: its stream is for messages that a server begins, and would hold ours up when it is told to stop.
    return Route(PATH, WholeBody(route.endpoint), methods=["POST", "DELETE"], include_in_schema=False)


class WholeBody:
    """ASGI application that reads a request's body, within the limits of all bodies, before another gets it.

    Args:
        app: The other one, which would wait for ever.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; raises as ``read_body``."""
        body = await read_body(Request(scope, receive))
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_again() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, receive_again, send)


async def serve_stdio(searches: Searches) -> None:
    """Serve on stdin and stdout until stdin ends; models are opened meanwhile."""
    searches.hub.start()
    try:
        await make_mcp(searches).run_stdio_async()
    finally:
        await searches.hub.close()
