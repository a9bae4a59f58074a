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


def closed(handler: BaseHTTPRequestHandler) -> None:
    """No answer at all."""


def answer(body: bytes, status: int = 200, **headers: str) -> Fault:
    """A whole answer with any status and headers."""
    lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(body)}"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return lambda handler: _send(handler, "\r\n".join([*lines, "", ""]).encode() + body)


def broken(body: bytes, at: int, how: Literal["closed", "reset"] = "closed") -> Fault:
    """The whole body is promised, and the connection ends after ``at`` bytes of it."""

    def fault(handler: BaseHTTPRequestHandler) -> None:
        _send(handler, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:at])
        if how == "reset":
            # Without this pause the client's kernel throws away what it has not handed out yet.
            time.sleep(0.05)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()

    return fault


def crawling(body: bytes) -> Fault:
    """The whole body, a byte every 50 ms."""

    def fault(handler: BaseHTTPRequestHandler) -> None:
        _send(handler, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(len(body)):
            time.sleep(0.05)
            _send(handler, body[at : at + 1])

    return fault


def _send(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(data)
    handler.wfile.flush()
