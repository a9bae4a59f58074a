"""The tools at ``/mcp`` of the HTTP server, imported with the first request for them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..hub import Hub
from ..wire.http import read_body

PATH = "/mcp"

SESSION_HEADER = "Mcp-Session-Id"
"""Header of a response that a client sends back with its next request."""

METHODS = ("POST", "DELETE")
"""No GET: it opens a stream for messages that the server starts, and would delay our shutdown."""


class McpEndpoint:
    """ASGI application of the tools.

    Importing the SDK takes most of a second; only clients of ``/mcp`` wait for it.

    Args:
        hub: Runs the searches.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._app: ASGIApp
        self._is_open = asyncio.Event()
        self._sessions: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whose body is read here: the SDK would wait for it forever."""
        body = await read_body(Request(scope, receive))
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_again() -> Message:
            return messages.pop() if messages else await receive()

        # In a thread, so that searches go on.
        await asyncio.to_thread(import_module, f"{__package__}.mcp")
        if self._sessions is None:
            self._sessions = asyncio.create_task(self._serve())
        await self._is_open.wait()
        await self._app(scope, receive_again, send)

    async def _serve(self) -> None:
        """Keep the sessions until this task is cancelled."""
        from .mcp import over_http

        async with over_http(self._hub, PATH) as self._app:
            self._is_open.set()
            await asyncio.Event().wait()

    async def close(self) -> None:
        """End all sessions."""
        if self._sessions is not None:
            self._sessions.cancel()
            with suppress(asyncio.CancelledError):
                await self._sessions
