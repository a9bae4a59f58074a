"""Who may ask: the key, the Host and the Origin of each request, before anything else is read of it.

A head that is too long is refused before them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..page import files as page_files
from .connection import MAX_HEAD
from .errors import Refusal
from .json_body import refusal_response

_OPEN = frozenset({"/health", *page_files.PATHS})
"""Paths that need no key: what runs a server asks them, and a browser before its user has typed one."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    Attributes:
        host: Address that the server is bound to.
        key: What a request has to bring as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``; None for
            nothing.
        origins: Origins of pages whose scripts may ask; ``*`` for all.
    """

    host: str
    key: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Refuse a request that may not be answered.

        A page of another site can resolve its own name to this machine (DNS rebinding), and then its scripts
        send that name as Host. With a key they lack the key.

        Raises:
            Refusal: 401 without the key, 403 for another Host or Origin.
        """
        if self.key is not None and path not in _OPEN:
            self._check_key(self.key, headers)
        host = _host_name(headers.get("host", ""))
        if self.key is None and host not in _LOOPBACK | {self.host}:
            raise Refusal(403, f'the Host "{host}" is not this server', "host-not-allowed")
        origin = headers.get("origin")
        if origin is not None and not self._is_known(origin, headers.get("host", "")):
            text = f'scripts of "{origin}" may not ask, unless the server is started with this CORS origin'
            raise Refusal(403, text, "origin-not-allowed")

    @staticmethod
    def _check_key(key: str, headers: Mapping[str, str]) -> None:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        # In constant time, so that the time it takes says nothing of how much of it was right.
        if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), key.encode()):
            wanted = {"WWW-Authenticate": "Bearer"}
            raise Refusal(401, "the API key is missing or wrong", "invalid-api-key", headers=wanted)

    def _is_known(self, origin: str, host: str) -> bool:
        """Whether an Origin is this server's own, or one that was let in."""
        return "*" in self.origins or origin in self.origins or _netloc(origin) == host


def _netloc(url: str) -> str | None:
    """Host and port of a URL; None where it is none."""
    try:
        return urlsplit(url).netloc or None
    except ValueError:
        return None


def _host_name(host: str) -> str:
    """The name of a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _check_head(scope: Scope) -> None:
    """Refuse a head that is too long: the HTTP parser bounds only heads that come in several parts.

    Raises:
        Refusal: 431.
    """
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    if len(scope["path"]) + len(scope["query_string"]) + headers > MAX_HEAD:
        text = f"the head of the request is longer than {MAX_HEAD:,} bytes"
        raise Refusal(431, text, "head-too-long")


class Guard:
    """ASGI middleware that answers what ``Access`` refuses, and heads that are too long.

    Args:
        app: What is guarded.
        access: Who may ask.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            try:
                _check_head(scope)
                self._access.check(scope["path"], Headers(scope=scope))
            except Refusal as refusal:
                await refusal_response(refusal, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)
