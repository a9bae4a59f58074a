"""A web server on loopback: a Hub, a package index, or another server of chat completions."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

KEY = "sk-a-secret-key"

Reply = Callable[["Call"], None]
"""Answers one request, and may break any rule of HTTP; the connection ends with it."""


class Call(BaseHTTPRequestHandler):
    """One request."""

    server: Listener
    protocol_version = "HTTP/1.1"
    body: Any = None

    @property
    def state(self) -> WebServer:
        return self.server.state

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.state.asked.append((self.path, headers, self.body))
        self.do(self.state.reply)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        state, path = self.state, self.path.partition("?")[0]
        state.seen[f"{self.command} {path}"] += 1
        state.headers = self.headers
        state.keys.add(self.headers.get("Authorization"))
        if self.command == "GET" and path in state.hooks:
            return self.do(state.hooks[path])
        status, headers, body = state.answers.get(path, state.others)
        if state.login and self.headers.get("Authorization") != state.login:
            status, headers, body = 401, {}, b"who are you?"
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if part and state.ranges and status == 200:
            first, last = int(part[1]), int(part[2] or len(body) - 1)
            headers = {**headers, "Content-Range": f"bytes {first}-{last}/{len(body)}"}
            body = body[first : last + 1]
            status = 206 if body else 416
        self.begin(status, **headers, Content_Length=str(len(body)))
        if self.command == "GET":
            with suppress(OSError):
                self.write(path, body)
        return None

    def do(self, reply: Reply) -> None:
        self.close_connection = True
        with suppress(OSError):
            reply(self)

    def begin(self, status: int = 200, **headers: str) -> None:
        """Send the head; underscores in the names of headers become hyphens."""
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def write(self, path: str, body: bytes) -> None:
        if path == self.state.half_way:
            half = len(body) // 2
            self.wfile.write(body[:half])
            self.state.reached.set()
            self.state.go_on.wait(20)
            body = body[half:]
        for at in range(0, len(body), 1 << 16):
            self.wfile.write(body[at : at + (1 << 16)])
            self.state.sent[path] += len(body[at : at + (1 << 16)])


def nothing(call: Call) -> None:
    """No byte."""


@dataclass
class WebServer:
    """The state of a server.

    Attributes:
        reply: Answers every POST.
        asked: Path, headers and body of every POST.
        answers: Status, headers and body of each page.
        others: The answer of every other page.
        hooks: Replies in the place of the answers of some pages.
        seen: How often each page was requested, by method and path.
        headers: Headers of the last such request.
        keys: Authorization of all of them.
        half_way: Page whose body stops in the middle, which ``reached`` says, until ``go_on``.
        login: Authorization that pages demand.
        ranges: Pages are served in parts, as the Hub does.
        sent: Bytes sent of each page.
        stopping: The server stops.
        gone: A client has left.
    """

    reply: Reply = nothing
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    answers: dict[str, tuple[int, Mapping[str, str], bytes]] = field(default_factory=dict)
    others: tuple[int, Mapping[str, str], bytes] = (404, {}, b"nothing here")
    hooks: dict[str, Reply] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    headers: Message = field(default_factory=Message)
    keys: set[str | None] = field(default_factory=set)
    half_way: str = ""
    login: str = ""
    ranges: bool = False
    sent: Counter[str] = field(default_factory=Counter)
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def add(self, path: str, body: object, status: int = 200, **headers: str) -> None:
        """Add a page; a body that is no text is sent as JSON."""
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.answers[path] = status, headers, body

    def show(self, pages: Mapping[str, object]) -> None:
        """Replace all pages: JSON, or replies in its place."""
        self.answers.clear()
        self.hooks = {path: page for path, page in pages.items() if callable(page)}
        for path in pages.keys() - self.hooks.keys():
            self.add(path, json.dumps(pages[path]))


class Listener(ThreadingHTTPServer):
    """The socket of a server."""

    daemon_threads = True
    request_queue_size = 64  # with the usual five a connection may wait a second
    state: WebServer


@contextmanager
def listening(reply: Reply = nothing) -> Iterator[WebServer]:
    """A server that listens until the block ends."""
    state = WebServer(reply)
    web = Listener(("127.0.0.1", 0), Call)
    web.state, state.url = state, f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.stopping.set()
        state.go_on.set()
        web.shutdown()
        web.server_close()
        thread.join()


COMMIT = "c" * 40


def publish_repo(server: WebServer, repo: str, files: Mapping[str, bytes | int]) -> None:
    """Serve a repository as the Hub does; of a file that is only a size no byte can be fetched."""
    siblings = []
    for name, data in files.items():
        size, content = (data, b"") if isinstance(data, int) else (len(data), data)
        digest = hashlib.sha256(content).hexdigest()
        lfs = {"sha256": digest, "size": size, "pointerSize": 134}
        siblings.append({"rfilename": name, "size": size, "lfs": lfs})
        if content:
            server.add(f"/{repo}/resolve/{COMMIT}/{quote(name)}", content, ETag=f'"{digest}"')
    info = {"id": repo, "sha": COMMIT, "siblings": siblings}
    for path in (repo, f"{repo}/revision/{COMMIT}"):
        server.add(f"/api/models/{path}", info, Content_Type="application/json")
    server.add("/", b"hello")
