"""A loopback web server for tests of what is fetched, and a Hugging Face Hub on it."""

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

Hook = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """A loopback web server: answers by path, counts what it was asked and sent, can hold a body half way.

    ``others`` is the answer under every other path.
    With ``ranges`` it serves parts of a body, as the Hub does. A path in ``hooks`` is answered by a function
    that may break any rule of HTTP; the connection ends with it.
    """

    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    others: tuple[int, dict[str, str], bytes] = (404, {}, b"nothing here")
    asked: Counter[str] = field(default_factory=Counter)
    headers: Message = field(default_factory=Message)
    half_way: str = ""
    login: str = ""
    ranges: bool = False
    hooks: dict[str, Hook] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def add(self, path: str, body: bytes | str | object, status: int = 200, **headers: str) -> None:
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.answers[path] = (status, named, body)

    def part(self, body: bytes, wanted: str) -> tuple[str, bytes] | None:
        """The Content-Range and the part of a body that a Range header asks for; None for all of it."""
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if part is None or not self.ranges:
            return None
        first, last = int(part[1]), int(part[2] or len(body) - 1)
        return f"bytes {first}-{last}/{len(body)}", body[first : last + 1]


class _Handler(BaseHTTPRequestHandler):
    state: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.state.asked[f"{self.command} {path}"] += 1
        self.state.headers = self.headers
        if self.command == "GET" and path in self.state.hooks:
            self.misbehave(self.state.hooks[path])
            return
        status, headers, body = self.state.answers.get(path, self.state.others)
        if self.state.login and self.headers.get("Authorization") != self.state.login:
            status, headers, body = 401, {}, b"who are you?"
        part = self.state.part(body, self.headers.get("Range", "")) if status == 200 else None
        if part is not None:
            status, headers, body = 206 if part[1] else 416, headers | {"Content-Range": part[0]}, part[1]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.write(path, body)

    def misbehave(self, hook: Hook) -> None:
        self.close_connection = True
        with suppress(OSError):
            hook(self)

    def write(self, path: str, body: bytes) -> None:
        try:
            if path == self.state.half_way:
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                self.state.reached.set()
                self.state.go_on.wait(20)
                body = body[len(body) // 2 :]
            for at in range(0, len(body), 1 << 16):
                self.wfile.write(body[at : at + (1 << 16)])
                self.state.sent[path] += len(body[at : at + (1 << 16)])
        except OSError:
            self.close_connection = True


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # with the usual five a connection may wait a second


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], state: Any, stopping: threading.Event) -> Iterator[None]:
    """Requests are handled, with this state, until the block ends, which ``stopping`` then says."""
    web = _Listener(("127.0.0.1", 0), type("Handler", (handler,), {"state": state}))
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{web.server_port}"
    try:
        yield
    finally:
        stopping.set()
        web.shutdown()
        web.server_close()
        thread.join()


@contextmanager
def serving() -> Iterator[Server]:
    """A server that listens until the block ends."""
    state = Server()
    with listening(_Handler, state, state.go_on):
        yield state


COMMIT = "c" * 40


def publish_repo(server: Server, repo: str, files: Mapping[str, bytes | int]) -> None:
    """Serve a repository as the Hub does; of a file that is only a size no byte can be fetched."""
    siblings = []
    for name, data in files.items():
        size, content = (data, b"") if isinstance(data, int) else (len(data), data)
        digest = hashlib.sha256(content).hexdigest()
        lfs = {"sha256": digest, "size": size, "pointerSize": 134}
        siblings.append({"rfilename": name, "size": size, "lfs": lfs})
        if content:
            headers = {
                "ETag": f'"{digest}"',
                "X_Linked_Etag": f'"{digest}"',
                "X_Linked_Size": str(size),
                "X_Repo_Commit": COMMIT,
            }
            server.add(f"/{repo}/resolve/{COMMIT}/{quote(name)}", content, **headers)
    info = {"id": repo, "sha": COMMIT, "siblings": siblings}
    for path in (repo, f"{repo}/revision/{COMMIT}"):
        server.add(f"/api/models/{path}", info, Content_Type="application/json")
    server.add("/", b"hello")
