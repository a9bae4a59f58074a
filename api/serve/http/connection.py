"""The two ends of a request: a body that comes in time and is not too long, a client that may go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .errors import Refusal

MAX_HEAD = 16 << 10
"""Bytes of a head: the request line and the headers."""

MAX_BODY = 1 << 20
"""Bytes of a body."""

BODY_SECONDS = 15.0
"""Time that a body may take to arrive."""

_CLOSE = {"Connection": "close"}
"""Headers of a response to a request whose body was not read to its end."""

T = TypeVar("T")


def client_address(request: Request) -> str:
    """Where a request comes from; empty where nobody knows."""
    return request.client.host if request.client is not None else ""


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        Refusal: 413 where it is too long, 408 where it is too slow.
        ClientDisconnect: the client has gone.
    """
    parts, size = [], 0
    too_long = Refusal(413, f"the body is longer than {MAX_BODY:,} bytes", "body-too-long", headers=_CLOSE)
    if int(request.headers.get("content-length", 0)) > MAX_BODY:
        raise too_long
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                parts.append(part)
                size += len(part)
                if size > MAX_BODY:
                    raise too_long
    except TimeoutError:
        text = f"the body did not arrive within {BODY_SECONDS:g} s"
        raise Refusal(408, text, "body-too-slow", headers=_CLOSE) from None
    return b"".join(parts)


async def while_connected(receive: Receive, work: Coroutine[None, None, T]) -> T:
    """The result of ``work``, which is cancelled when the client goes away; the body has been read.

    Raises:
        ClientDisconnect: the client has gone.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Server-sent events.

    Args:
        first: The first ones.
        events: The others; closed when the client has gone.
    """

    media_type = "text/event-stream"

    def __init__(self, first: bytes, events: AsyncGenerator[bytes, None]) -> None:
        # nginx would keep events back until its buffer is full.
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first = first
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the client has gone."""
        head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        try:
            await send(head)
            with suppress(ClientDisconnect):
                await while_connected(receive, self._send_all(send))
        finally:
            await self._events.aclose()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
