"""The listening socket: limits for slow clients, and a shutdown that lets running searches end."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from adascale.engine.errors import UsageError, setting

from .guard import LOOPBACK as _LOOPBACK
from .http import MAX_HEAD

HEAD_SECONDS = 10.0
"""Time limit for the head of a request to arrive."""

WRITE_SECONDS = 60.0
"""Time limit for a client to read what is buffered for it."""

MAX_CONNECTIONS = 1024
MAX_OF_A_CLIENT = 128
"""Connections of one address, unless it is this machine's."""

_FILES = 4 * MAX_CONNECTIONS
"""Limit of open files to request: many systems allow 1,024, and connections come in bursts."""

DRAIN_SECONDS = 30
"""Time that running searches have when the server is told to stop; then they are cancelled."""


class _PatientProtocol(H11Protocol):
    """Closes connections whose clients are too slow to send a head or to read; uvicorn would wait forever."""

    _head: asyncio.TimerHandle | None = None
    _write: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the first head; above the limits, close a connection.

        The one that has waited longest is closed, so that idle connections shut nobody out.
        """
        super().connection_made(transport)
        self._since = self.loop.time()
        others = self._others
        hosts = [each.client[0] for each in others if each.client]
        host = self.client[0] if self.client else ""
        if host not in _LOOPBACK and hosts.count(host) >= MAX_OF_A_CLIENT:
            self.transport.abort()
        elif len(others) >= MAX_CONNECTIONS:
            waiting = [each for each in others if each._awaits_head]
            min(waiting, key=lambda each: each._since, default=self).transport.abort()
        self._head = self.loop.call_later(HEAD_SECONDS, self._close_late)

    @property
    def _others(self) -> list[_PatientProtocol]:
        """Open ones: what is closed is among ``connections`` until the next turn of the loop."""
        known = [each for each in self.connections if isinstance(each, _PatientProtocol) and each is not self]
        return [each for each in known if not each.transport.is_closing()]

    def data_received(self, data: bytes) -> None:
        """Stop the timer when the head is complete; start it if a new head has begun."""
        super().data_received(data)
        if not self._awaits_head:
            _cancel(self._head)
            self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._close_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop both timers."""
        _cancel(self._head)
        _cancel(self._write)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the timer of a client that does not read; at its end the client counts as gone."""
        super().pause_writing()
        self._write = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the timer: the client has read."""
        _cancel(self._write)
        super().resume_writing()

    @property
    def _awaits_head(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        # A body that nobody reads is no reason to wait either: the request has its answer.
        return answered and self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def _close_late(self) -> None:
        self._head = None
        if self._awaits_head and not self.transport.is_closing():
            self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    """Stop a timer, if there is one; one that has acted stays as it is."""
    if timer is not None:
        timer.cancel()


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
                http=_PatientProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=MAX_HEAD,
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
        _allow_files()
        self.run(sockets=[self._bound])

    def stop(self) -> None:
        """Take no more requests, and stop when the running ones have ended."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then tell ``on_start`` the URL."""
        asyncio.get_running_loop().set_exception_handler(_report)
        await super().startup(sockets)
        self._on_start(self.url)


def _allow_files() -> None:
    """Raise the limit of open files to ``_FILES`` if it is lower, as far as the system allows."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an error of the event loop, unless a connection waits for a file: a report would take one."""
    if getattr(context.get("exception"), "errno", None) not in (errno.EMFILE, errno.ENFILE):
        loop.default_exception_handler(context)


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
