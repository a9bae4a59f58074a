"""Another server of OpenAI's chat completions on loopback, which answers well, badly or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from loopback import listening

KEY = "sk-a-secret-key"

Reply = Callable[["Call"], None]


class Call(BaseHTTPRequestHandler):
    """One request, and the ways to answer it."""

    state: Other
    body: dict[str, Any]

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        self.body = body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.state.asked.append(
            (self.path, {key.lower(): value for key, value in self.headers.items()}, body)
        )
        with suppress(OSError):
            self.state.reply(self)

    def do_GET(self) -> None:
        self.state.seen.append((self.path, self.headers.get("Authorization")))
        page = self.state.pages.get(self.path)
        if callable(page):
            with suppress(OSError):
                page(self)
            return
        self.send(404 if page is None else 200, json.dumps(page).encode())

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class Other:
    """The server: its URL, how it replies, and the path, headers and body of all that it was asked.

    What is got has no body: it has pages, by path, or replies in their place, and notes paths and keys in
    ``seen``.
    """

    url: str
    reply: Reply
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    pages: dict[str, object] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)


def says(text: object, **choice: object) -> Reply:
    """A completion with this text."""
    choices = [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop", **choice}]
    body = json.dumps({"object": "chat.completion", "model": "large", "choices": choices}).encode()
    return lambda call: call.send(200, body)


def refuses(status: int, **headers: str) -> Reply:
    """A refusal whose text repeats the key, as some do."""
    return lambda call: call.send(status, f"who is {KEY}?".encode(), **headers)


def writes(body: bytes) -> Reply:
    """These bytes with status 200."""
    return lambda call: call.send(200, body)


def is_silent(call: Call) -> None:
    """No byte until the server stops."""
    call.state.stopping.wait(20)


def breaks_off(call: Call) -> None:
    """Half a body."""
    call.send_response(200)
    call.send_header("Content-Length", "1000")
    call.end_headers()
    call.wfile.write(b'{"choices": [')


@contextmanager
def other_server(reply: Reply) -> Iterator[Other]:
    """The server, which listens until the block ends."""
    state = Other("", reply)
    with listening(Call, state, state.stopping):
        yield state
