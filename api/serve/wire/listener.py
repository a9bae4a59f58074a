"""The listening socket, and a shutdown that lets running searches end."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from adascale.engine.errors import UsageError, setting

_MAX_HEAD = 16 << 10
"""Bytes of a head: the request line and the headers."""

_MAX_CONNECTIONS = 1024
"""Connections and running requests; further ones get status 503."""

DRAIN_SECONDS = 30
"""Time that running searches have when the server is told to stop; then they are cancelled."""


class Listener(uvicorn.Server):
    """Serves an application on one address until it is told to stop, by a signal or by ``stop``.

    Args:
        app: The application.
        bound: A listening socket.
        on_start: Called with the URL once requests are taken.
    """

    def __init__(self, app: ASGIApp, bound: socket.socket, on_start: Callable[[str], None]) -> None:
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
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        self._bound = bound
        self._on_start = on_start

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._bound.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def serve_until_stopped(self) -> None:
        """Serve until told to stop and all running searches have ended."""
        self.run(sockets=[self._bound])

    def stop(self) -> None:
        """Take no more requests, and stop when the running ones have ended."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then tell ``on_start`` the URL."""
        await super().startup(sockets)
        self._on_start(self.url)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free port.

    Raises:
        UsageError: this machine has no such address, or the port is taken.
    """
    try:
        host.encode("idna")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except UnicodeError as exc:
        text = f'cannot listen on "{host}", which is no host name'
        raise UsageError(text, hint=setting("host", "127.0.0.1"), slug="cannot-listen") from exc
    except OSError as exc:
        taken, refused = exc.errno == errno.EADDRINUSE, exc.errno in (errno.EACCES, errno.EPERM)
        text = f"port {port} is taken" if taken else f"cannot listen on {host}:{port}: {exc.strerror or exc}"
        of_port = f"{setting('port', 0)} takes a free one"
        hint = of_port if taken or refused else setting("host", "127.0.0.1")
        raise UsageError(text, hint=hint, slug="cannot-listen") from exc
