"""The listening socket and the process around it: limits for slow clients, and an end that loses nobody."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from adascale.engine.errors import UsageError, setting

from .app import ServerSettings, make_app
from .http.connection import MAX_HEAD
from .search.hub import Hub

HEAD_SECONDS = 10.0
"""Time that the head of a request may take to arrive."""

WRITE_SECONDS = 60.0
"""Time that a client may take to read what is buffered for it."""

MAX_CONNECTIONS = 1024

_FILES = 4 * MAX_CONNECTIONS
"""Open files that the process should be allowed: many systems allow 1,024, and connections come in bursts."""

DRAIN_SECONDS = 30
"""Time that running searches have when the server is told to stop; then they are cancelled."""


class _PatientProtocol(H11Protocol):
    """Closes a connection whose client does not send a whole head, or does not read, in time.

    uvicorn would wait for ever.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head; one connection too many is closed, as each is an open file."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self.transport.abort()
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a head that has begun, and no longer for one that is whole."""
        super().data_received(data)
        if not self._awaits_client:
            _cancel(self._head_timer)
            self._head_timer = None
        elif self._head_timer is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        _cancel(self._head_timer)
        _cancel(self._write_timer)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read; to abort is for it as if the client had gone."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Wait no longer: it has read."""
        _cancel(self._write_timer)
        super().resume_writing()

    @property
    def _awaits_client(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        # A body that nobody reads is no reason to wait either: the request has its answer.
        return answered and self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close_late)

    def _close_late(self) -> None:
        self._head_timer = None
        if self._awaits_client and not self.transport.is_closing():
            self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    """Stop a timer where there is one; one that has acted stays as it is."""
    if timer is not None:
        timer.cancel()


class Listener(uvicorn.Server):
    """Serves on one address until it is told to stop, by a signal or by the worker's end.

    Args:
        hub: Gets the questions; its ``on_end`` is to be ``stop``.
        settings: What holds for all requests.
        bound: A listening socket.
        on_start: Called with the URL once requests are taken.
    """

    def __init__(
        self, hub: Hub, settings: ServerSettings, bound: socket.socket, on_start: Callable[[str], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                make_app(hub, settings),
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
        self._hub = hub
        self._bound = bound
        self._on_start = on_start

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._bound.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def serve_until_stopped(self) -> None:
        """Serve; returns when all that was running has ended.

        Raises:
            AdascaleError: the worker has ended with it, as where a model cannot be opened.
        """
        _allow_files()
        self.run(sockets=[self._bound])
        if self._hub.error is not None:
            raise self._hub.error

    def stop(self) -> None:
        """Take no more requests, and return when the running ones have ended."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then tell ``on_start`` the URL."""
        asyncio.get_running_loop().set_exception_handler(_report)
        await super().startup(sockets)
        self._on_start(self.url)


def _allow_files() -> None:
    """Raise the limit of open files to ``_FILES`` where it is lower, as far as the system lets us."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an error of the event loop, but not each connection that has to wait for a free file."""
    if getattr(context.get("exception"), "errno", None) not in (errno.EMFILE, errno.ENFILE):
        loop.default_exception_handler(context)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        UsageError: there is no such address here, or the port is taken.
    """
    try:
        host.encode("idna")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except UnicodeError as exc:
        text = f'cannot listen on "{host}", which is no name of a host'
        raise UsageError(text, hint=setting("host", "127.0.0.1"), slug="cannot-listen") from exc
    except OSError as exc:
        taken, refused = exc.errno == errno.EADDRINUSE, exc.errno in (errno.EACCES, errno.EPERM)
        text = f"port {port} is taken" if taken else f"cannot listen on {host}:{port}: {exc.strerror or exc}"
        of_port = f"{setting('port', 0)} takes a free one"
        hint = of_port if taken or refused else setting("host", "127.0.0.1")
        raise UsageError(text, hint=hint, slug="cannot-listen") from exc
