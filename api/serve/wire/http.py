"""Requests and responses over HTTP: bodies within limits, JSON, refusals, and streams."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adascale.engine.codec import nesting
from adascale.engine.errors import (
    DEADLY_QUESTION,
    AdascaleError,
    ContextOverflowError,
    ModelNotFoundError,
    UsageError,
    WorkerDiedError,
    respell,
)

JsonObject = dict[str, Any]

MAX_BODY = 1 << 20
"""Bytes of a body."""

MAX_DEPTH = 32
"""Levels of objects and lists in a body."""

_CLOSE = {"Connection": "close"}
"""Headers of a response to a request whose body was not read completely."""

_ASK_ONCE = {"X-Should-Retry": "false"}
"""Headers that keep the SDKs of OpenAI and Anthropic from repeating a request, as they do with status 500 and
above: a question that killed the worker would kill it again, for all clients."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {**_TYPES, 404: "not_found_error", 413: "request_too_large", 503: "overloaded_error"}

T = TypeVar("T")


class Refusal(Exception):
    """A request that gets an error instead of an answer.

    Attributes:
        status: HTTP status, 400 to 599.
        message: The fault, and what would be accepted.
        code: Stable slug.
        param: Name of the field at fault, as ``messages[0].role``; None if it is no field.
        headers: Headers of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers or {}

    @classmethod
    def of(cls, error: AdascaleError) -> Refusal:
        """The refusal for an error of a search.

        That of a full context has the words and the code of OpenAI, by which clients know that they have to
        shorten the conversation.
        """
        text = ": ".join((error.message, *error.facts)) + (f" ({error.hint})" if error.hint else "")
        status, code = _status_of(error), error.slug
        if isinstance(error, ContextOverflowError):
            text, code = f"maximum context length exceeded: {text}", "context_length_exceeded"
        return cls(status, for_clients(text), code, headers=_ASK_ONCE if status == 500 else None)

    @classmethod
    def of_field(cls, name: str, text: str, code: str = "invalid-value") -> Refusal:
        """The refusal of a field's value; ``text`` completes a sentence that begins with the field's name."""
        return cls(400, f"{name}: {text}" if name else text, code, name or None)

    def body(self) -> JsonObject:
        """The error object of OpenAI's interface."""
        type_ = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": type_, "param": self.param, "code": self.code}}

    def anthropic_body(self) -> JsonObject:
        """The error object of Anthropic's interface, with our ``param`` and ``code`` added."""
        usual = "invalid_request_error" if self.status < 500 else "api_error"
        error = {**self.body()["error"], "type": _ANTHROPIC_TYPES.get(self.status, usual)}
        return {"type": "error", "error": error}

    def ollama_body(self) -> JsonObject:
        """The error object of Ollama's interface."""
        return {"error": self.message}

    def response(self, path: str) -> Response:
        """The response, in the shape that clients of this path expect."""
        if path.startswith("/api/"):
            body = self.ollama_body()
        else:
            body = self.anthropic_body() if path.startswith("/v1/messages") else self.body()
        response = json_response(body, self.status)
        response.headers.update(self.headers)
        return response


_FIELDS = {"choices": "choices", "test": "tests"}
"""Fields of requests, by the name of the setting in errors."""


def for_clients(text: str) -> str:
    """The text of an error or a warning; settings that no request has are the server's."""

    def spell(name: str, value: str | None) -> str:
        return _FIELDS.get(name, f"the server's {name}") + ("" if value is None else f" = {value}")

    return respell(text, spell)


def _status_of(error: AdascaleError) -> int:
    match error:
        case UsageError() | ContextOverflowError():
            return 400
        case ModelNotFoundError():
            return 404
        case WorkerDiedError() if error.slug != DEADLY_QUESTION:
            return 503
        case _:
            return 500


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        Refusal: 413 if it is too long.
        ClientDisconnect: the client has gone.
    """
    parts, size = [], 0
    too_long = Refusal(413, f"the body is longer than {MAX_BODY:,} bytes", "body-too-long", headers=_CLOSE)
    if int(request.headers.get("content-length", 0)) > MAX_BODY:
        raise too_long
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise too_long
    return b"".join(parts)


def read_object(body: bytes) -> JsonObject:
    """The JSON object of a body; a lone surrogate becomes a question mark.

    Raises:
        Refusal: it is no JSON object, or nested deeper than ``MAX_DEPTH``.
    """
    try:
        text = body.decode()
        value = parse_json(text)
        if "\\ud" in text.lower():
            value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except ValueError as exc:
        raise Refusal(400, f"the body is not JSON: {exc}", "invalid-json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "the body has to be a JSON object", "invalid-json")
    if nesting(value) > MAX_DEPTH:
        raise Refusal(400, f"the body is nested more than {MAX_DEPTH} levels deep", "invalid-json")
    return value


def parse_json(text: str) -> Any:
    """A JSON value, without numbers that only Python's JSON has.

    Raises:
        ValueError: it is no JSON, or has a number that is infinite or none, or is nested very deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(literal: str) -> float:
    """A finite number: ``1e999`` would be read as infinity, which JSON does not have."""
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal[:20]} is too large a number")
    return value


def to_bytes(value: Any) -> bytes:
    """JSON in ASCII, without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_response(value: Any, status: int = 200) -> Response:
    """A response with a JSON value."""
    return Response(to_bytes(value), status, media_type="application/json")


COMMENT = b": searching\n\n"
"""A server-sent event that carries nothing."""


def event(data: Any, name: str = "") -> bytes:
    """A server-sent event with JSON."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + to_bytes(data) + b"\n\n"


async def while_connected(receive: Receive, work: Coroutine[None, None, T]) -> T:
    """The result of ``work``, which is cancelled if the client disconnects; the body was read before.

    Raises:
        ClientDisconnect: the client has disconnected.
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
    """A streamed response: server-sent events, or lines of JSON.

    Args:
        first: The first part.
        events: The other parts; closed when the client disconnects.
        media_type: Media type of the response.
    """

    def __init__(
        self, first: bytes, events: AsyncGenerator[bytes, None], media_type: str = "text/event-stream"
    ) -> None:
        # nginx would keep events back until its buffer is full.
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]
        self._first = first
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the client disconnects."""
        head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        try:
            await send(head)
            with suppress(ClientDisconnect):
                await while_connected(receive, self._send_all(send))
        finally:
            await self._events.aclose()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for part in self._events:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
