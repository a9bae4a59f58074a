"""Ways in which a web server fails, to be put into ``loopback.Server.hooks``."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Literal

Fault = Callable[[BaseHTTPRequestHandler], None]


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Zeros for ever, of an unknown length."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    while True:
        handler.wfile.write(bytes(1 << 16))


def drip(handler: BaseHTTPRequestHandler, body: bytes = bytes(2_000_000)) -> None:
    """A hundred bytes twenty times a second."""
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    for at in range(0, len(body), 100):
        handler.wfile.write(body[at : at + 100])
        time.sleep(0.05)


def closed(handler: BaseHTTPRequestHandler) -> None:
    """No answer at all."""


def refusal(status: int, retry_after: str = "") -> Fault:
    """An answer that is no success, and perhaps says when to ask again."""
    wait = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    return lambda handler: _send(handler, f"HTTP/1.1 {status} No\r\n{wait}Content-Length: 0\r\n\r\n".encode())


def broken(body: bytes, at: int, how: Literal["closed", "reset"]) -> Fault:
    """The whole body is promised, and the connection ends after ``at`` bytes of it."""

    def fault(handler: BaseHTTPRequestHandler) -> None:
        _send(handler, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:at])
        if how == "reset":
            # Without this pause the client's kernel throws away what it has not handed out yet.
            time.sleep(0.05)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()

    return fault


def _send(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(data)
    handler.wfile.flush()
