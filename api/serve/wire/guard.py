"""Access: checks the key, the Host and the Origin of each request before anything else is read."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx2
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..page import files as page_files
from .http import Refusal

_OPEN = frozenset({"/health", *page_files.PATHS})
"""Paths that need no key: for health checks, and for a browser before its user has typed the key."""

_SHOWN = 100
"""Characters of a Host that a refusal repeats."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    Attributes:
        host: Address that the server is bound to.
        key: The API key, sent as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``; None if there is none.
        origins: Origins of pages whose scripts may ask; ``*`` for all.
    """

    host: str
    key: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Refuse a request that is not allowed.

        Scripts of another site may ask a server of this machine, and read its answers if the site resolves
        its own name to this machine (DNS rebinding). They lack the key, so a server with a key checks
        nothing else: behind a proxy, its own page has another Host and Origin.

        Raises:
            Refusal: 401 without the key, 403 for another Host or Origin.
        """
        if self.key is not None:
            if path not in _OPEN and not _has_key(headers, self.key):
                wanted = {"WWW-Authenticate": "Bearer"}
                raise Refusal(401, "the API key is missing or wrong", "invalid-api-key", headers=wanted)
            return
        host = headers.get("host", "")
        if _host_name(host) not in _LOOPBACK | {self.host}:
            text = f"a server without an API key answers only to {self.host}, not to {host[:_SHOWN]!r}"
            raise Refusal(403, text, "host-not-allowed")
        known = {*self.origins, f"http://{host}", f"https://{host}"}
        origin = headers.get("origin")
        if origin is not None and origin not in known and "*" not in known:
            text = f"pages and apps of '{origin}' may not ask: the server's setting cors-origin lets them"
            raise Refusal(403, text, "origin-not-allowed")


def _host_name(host: str) -> str:
    """The name in a Host header, in lower case; empty if it has none."""
    try:
        url = httpx2.URL(f"http://{host}")
    except httpx2.InvalidURL:
        return ""
    return url.host if url.raw_path == b"/" and not url.userinfo else ""


def _has_key(headers: Mapping[str, str], key: str) -> bool:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = bearer if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    # In constant time, so that the time does not tell how much of the key was correct.
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), key.encode())


class Guard:
    """ASGI middleware that refuses requests.

    Args:
        app: The guarded application.
        access: Who may ask.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app = self._app
        try:
            self._access.check(scope["path"], Headers(scope=scope))
        except Refusal as refusal:
            app = refusal.response(scope["path"])
        await app(scope, receive, send)
