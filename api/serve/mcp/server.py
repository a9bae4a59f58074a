"""The tools over stdio, for a client that starts the server itself, and over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ToolAnnotations
from starlette.routing import Route
from starlette.types import ASGIApp

from adascale import __version__

from ..search.searches import Searches
from .tools import Tools

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


def http_app(server: MCPServer[Any], path: str) -> ASGIApp:
    """The server over HTTP, which answers while ``server.session_manager.run()`` lasts."""
    app = server.streamable_http_app(
        streamable_http_path=path,
        max_sessions=_MAX_SESSIONS,
        # ``guard`` checks Host, Origin and key of every request, before this is reached.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    [route] = app.routes
    assert isinstance(route, Route)
    endpoint: ASGIApp = route.endpoint
    return endpoint


async def serve_stdio(searches: Searches) -> None:
    """Serve on stdin and stdout until stdin ends; models are opened meanwhile."""
    searches.hub.start()
    try:
        await make_mcp(searches).run_stdio_async()
    finally:
        await searches.hub.close()
