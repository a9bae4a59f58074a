"""HTTP: bodies within limits, JSON, refusals and streams; who may ask; and the listening socket."""

from __future__ import annotations

import asyncio
import errno
import hmac
import json
import logging
import re
import socket
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvicorn
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adascale.engine.codec import nesting
from adascale.engine.errors import (
    DEADLY_QUESTION,
    AdascaleError,
    ContextOverflowError,
    ModelNotFoundError,
    UsageError,
    WorkerDiedError,
    respell,
    setting,
)

from . import page

JsonObject = dict[str, Any]

MAX_BODY = 1 << 20
"""Bytes of a body."""

MAX_DEPTH = 32
"""Levels of objects and lists in a body."""

SESSION_HEADER = "Mcp-Session-Id"
"""Header of a response that a client of MCP sends back with its next request."""

_ASK_ONCE = {"X-Should-Retry": "false"}
"""Headers that keep the SDKs of OpenAI and Anthropic from repeating a request, as they do with status 500 and
above: a question that killed the worker would kill it again, for all clients."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

T = TypeVar("T")


@dataclass(eq=False)
class Refusal(Exception):
    """A request that gets an error instead of an answer.

    Attributes:
        status: HTTP status, 400 to 599.
        message: The fault, and what would be accepted.
        code: Stable slug.
        param: Name of the field at fault, as ``messages[0].role``; None if it is no field.
        headers: Headers of the response.
    """

    status: int
    message: str
    code: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: AdascaleError) -> Refusal:
        """The refusal for an error of a search."""
        hint = [f"A fix: {error.hint}"] if error.hint else []
        text = ". ".join([error.message, *(fact[:1].upper() + fact[1:] for fact in error.facts), *hint])
        if isinstance(
            error, ContextOverflowError
        ):  # by OpenAI's words and code clients shorten the conversation
            text = for_clients(f"maximum context length exceeded: {text}")
            return cls(400, text, "context_length_exceeded")
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
        if status == 500 or error.slug == DEADLY_QUESTION:
            return cls(500, for_clients(text), error.slug, headers=_ASK_ONCE)
        return cls(status, for_clients(text), error.slug)

    @classmethod
    def of_field(cls, name: str, text: str) -> Refusal:
        """The refusal of a field's value; ``text`` completes a sentence that begins with the field's name."""
        return cls(400, f"{name}: {text}" if name else text, "invalid-value", name or None)

    def body(self, path: str = "") -> JsonObject:
        """The error object of the path's interface: Anthropic's, Ollama's, or else OpenAI's."""
        if path.startswith("/api/"):
            return {"error": self.message}
        type_ = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")
        error = {"message": self.message, "type": type_, "param": self.param, "code": self.code}
        return {"type": "error", "error": error} if path == "/v1/messages" else {"error": error}

    def response(self, path: str) -> Response:
        """The response, in the shape that clients of this path expect."""
        return json_response(self.body(path), self.status, self.headers)


_STATUS = {UsageError: 400, ModelNotFoundError: 404, WorkerDiedError: 503}
"""Status of errors of a search; other errors have 500."""

_FIELDS = {"choices": "choices", "test": "tests"}
"""Fields of requests, by the name of the setting in errors."""


def for_clients(text: str) -> str:
    """The text of an error or a warning; settings that no request has are the server's."""

    def spell(name: str, value: str | None) -> str:
        return _FIELDS.get(name, f"the server's {name}") + ("" if value is None else f" = {value}")

    return respell(text, spell)


async def read_object(request: Request) -> JsonObject:
    """The JSON object of a body.

    Raises:
        Refusal: the body is too long, no JSON object, or nested deeper than ``MAX_DEPTH``.
        ClientDisconnect: the client has disconnected.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            text = f"the body is longer than {MAX_BODY:,} bytes"
            raise Refusal(413, text, "body-too-long", headers={"Connection": "close"})
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as exc:
        raise Refusal(400, f"the body is not JSON: {exc}", "invalid-json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "the body has to be a JSON object", "invalid-json")
    if nesting(value) > MAX_DEPTH:
        raise Refusal(400, f"the body is nested more than {MAX_DEPTH} levels deep", "invalid-json")
    return value


def to_bytes(value: Any) -> bytes:
    """JSON in ASCII, without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with a JSON value."""
    return Response(to_bytes(value), status, headers, "application/json")


COMMENT = b": searching\n\n"
"""A server-sent event that carries nothing."""


def event(data: Any, name: str = "") -> bytes:
    """A server-sent event with JSON."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + to_bytes(data) + b"\n\n"


async def while_connected(request: Request, work: Coroutine[None, None, T]) -> T:
    """The result of ``work``, which is cancelled if the client disconnects; the body was read before.

    Raises:
        ClientDisconnect: the client has disconnected.
    """

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(disconnected())
    leaving.add_done_callback(lambda _: working.cancel())
    try:
        return await working
    except asyncio.CancelledError:
        if leaving.done():
            raise ClientDisconnect from None
        raise
    finally:
        leaving.cancel()


_OPEN = frozenset({"/health", page.STATUS, *page.PATHS})
"""Paths that need no key: for health checks, and for a browser before its user has typed the key."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    Scripts of another site may ask a server of this machine, and read its answers if the site resolves its
    own name to this machine (DNS rebinding). They lack the key, so a server with a key checks nothing else:
    behind a proxy, its own page has another Host and Origin.

    Attributes:
        host: Address that the server is bound to.
        key: The API key, sent as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``; None if there is none.
        origins: Origins of pages whose scripts may ask; ``*`` for all.
    """

    host: str
    key: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()

    def middleware(self) -> list[Middleware]:
        """The middleware that refuses requests, and lets scripts of other pages ask."""
        cors = Middleware(
            CORSMiddleware,
            allow_origins=self.origins,
            allow_methods=["GET", "POST", "DELETE"],
            # Clients send some of their own: X-Stainless-Lang, Anthropic-Version, Mcp-Method.
            allow_headers=["*"],
            expose_headers=["Retry-After", SESSION_HEADER],
        )
        return [cors, Middleware(self._guard)]

    def _guard(self, app: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            refusal = None
            if scope["type"] == "http":
                refusal = self._refusal(scope["path"], Headers(scope=scope))
            await (app if refusal is None else refusal.response(scope["path"]))(scope, receive, send)

        return guarded

    def _refusal(self, path: str, headers: Headers) -> Refusal | None:
        """The reason why a request is refused: no key, another Host, or a script of another page."""
        if self.key is not None:
            scheme, _, bearer = headers.get("authorization", "").partition(" ")
            token = bearer if scheme.lower() == "bearer" else headers.get("x-api-key", "")
            # In constant time, which reveals nothing about the key.
            has_key = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self.key.encode())
            if path in _OPEN or has_key:
                return None
            challenge = {"WWW-Authenticate": "Bearer"}
            return Refusal(401, "the API key is missing or wrong", "invalid-api-key", headers=challenge)
        host, origin = headers.get("host", ""), headers.get("origin")
        own = rf"(localhost|127\.0\.0\.1|\[::1\]|\[?{re.escape(self.host)}\]?)(:\d+)?"
        if not re.fullmatch(own, host, re.IGNORECASE):
            text = f"'{host}' is no name of this machine, and others need the server's setting api-key-file"
            return Refusal(400, text, "host-not-allowed")
        if origin is None or {origin, "*"} & {*self.origins, f"http://{host}", f"https://{host}"}:
            return None
        text = f"pages and apps of '{origin}' may not ask: the server's setting cors-origin lets them"
        return Refusal(403, text, "origin-not-allowed")


_MAX_HEAD = 16 << 10
"""Bytes of a head: the request line and the headers."""

_MAX_CONNECTIONS = 1024
"""Connections and running requests; further ones get status 503."""

DRAIN_SECONDS = 30
"""Time that running searches have when the server stops; then they end with an error."""

_CUT_SECONDS = 5
"""Time that clients have then to read the error; after it their connections are cut."""


class Listener(uvicorn.Server):
    """Serves an application until a signal or ``should_exit`` ends it, and its running searches have ended.

    Args:
        app: The application.
        on_late: Called if searches still run ``DRAIN_SECONDS`` after the end has begun; it has to end them.
    """

    def __init__(self, app: ASGIApp, on_late: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=_MAX_HEAD,
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_graceful_shutdown=DRAIN_SECONDS + _CUT_SECONDS,
            )
        )
        self._on_late = on_late

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does, and answer the clients whose search takes too long."""
        late = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._end_searches)
        await super().shutdown(sockets)
        late.cancel()

    def _end_searches(self) -> None:
        self._on_late()
        # Connections that are cut after this are no fault.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


def bind(host: str, port: int) -> tuple[socket.socket, str]:
    """A listening socket and its URL; port 0 takes a free port.

    Raises:
        UsageError: this machine has no such address, or the port is taken.
    """
    family, name = (socket.AF_INET6, f"[{host}]") if ":" in host else (socket.AF_INET, host)
    try:
        bound = socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as exc:
        why = getattr(exc, "strerror", None) or "that is no host name"
        is_port = getattr(exc, "errno", None) in (errno.EADDRINUSE, errno.EACCES, errno.EPERM)
        hint = f"{setting('port', 0)} takes a free one" if is_port else setting("host", "127.0.0.1")
        text = f"cannot listen on {host}:{port}: {why}"
        raise UsageError(text, hint=hint, slug="cannot-listen") from exc
    return bound, f"http://{name}:{bound.getsockname()[1]}"
