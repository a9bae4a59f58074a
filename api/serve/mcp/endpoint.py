"""The tools at ``/mcp`` of the HTTP server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.connection import read_body
from ..search.searches import Searches

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PATH = "/mcp"

SESSION_HEADER = "Mcp-Session-Id"
"""Header of a response that a client sends back with its next request."""

METHODS = ("POST", "DELETE")
"""No GET: its stream is for messages that a server begins, and would hold ours up when it is told to stop."""


class McpEndpoint:
    """ASGI application that opens the server of the tools with its first request.

    To import the SDK takes most of a second, which only clients of ``/mcp`` have to wait.

    Args:
        searches: Searches of the HTTP server, which the tools share.
    """

    def __init__(self, searches: Searches) -> None:
        self._searches = searches
        self._app: ASGIApp
        self._is_open = asyncio.Event()
        self._sessions: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose body has come, within the limits of all bodies; raises as ``read_body``.

        The SDK would wait for a body for ever.
        """
        body = await read_body(Request(scope, receive))
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_again() -> Message:
            return messages.pop() if messages else await receive()

        # In a thread, so that searches go on.
        await asyncio.to_thread(import_module, f"{__package__}.server")
        if self._sessions is None:
            self._open()
        await self._is_open.wait()
        await self._app(scope, receive_again, send)

    def _open(self) -> None:
        from .server import http_app, make_mcp

        server = make_mcp(self._searches)
        self._app = http_app(server, PATH)
        self._sessions = asyncio.create_task(self._run(server.session_manager))

    async def _run(self, sessions: StreamableHTTPSessionManager) -> None:
        """Keep the sessions until this task is cancelled."""
        async with sessions.run():
            self._is_open.set()
            await asyncio.Event().wait()

    async def close(self) -> None:
        """End all sessions."""
        if self._sessions is not None:
            self._sessions.cancel()
            with suppress(asyncio.CancelledError):
                await self._sessions
