"""A running ``adascale serve``, and requests of every kind to it, each of which knows a whole answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psutil

JSON = {"Content-Type": "application/json"}
MCP = {**JSON, "Accept": "application/json, text/event-stream"}

_WEATHER = {
    "type": "object",
    "properties": {"city": {"enum": ["Rome", "Paris"]}, "tomorrow": {"type": "boolean"}},
    "required": ["city"],
}
_TOOL = {"type": "function", "function": {"name": "weather", "parameters": _WEATHER}}
_HANDSHAKE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
_GONE = (OSError, HTTPException)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request; status 0 if the connection broke before its end."""

    status: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """A request.

    Attributes:
        path: Where it goes.
        body: Its JSON.
        is_whole: True for the data of a whole answer with status 200.
    """

    path: str
    body: Mapping[str, Any]
    is_whole: Callable[[bytes], bool]


def _chat(question: str, **more: Any) -> Asked:
    body = {"messages": [{"role": "user", "content": question}], **more}
    is_whole = _ends_with(b"data: [DONE]\n\n") if more.get("stream") else _has("choices")
    return Asked("/v1/chat/completions", body, is_whole)


def _calls(question: str) -> Asked:
    asked = _chat(question, tools=[_TOOL], tool_choice="required")

    def is_whole(data: bytes) -> bool:
        [call] = json.loads(data)["choices"][0]["message"]["tool_calls"]
        return json.loads(call["function"]["arguments"])["city"] in ("Rome", "Paris")

    return Asked(asked.path, asked.body, is_whole)


def _schema(question: str) -> Asked:
    form = {"type": "json_schema", "json_schema": {"name": "weather", "schema": _WEATHER}}
    asked = _chat(question, response_format=form)

    def is_whole(data: bytes) -> bool:
        content = json.loads(data)["choices"][0]["message"]["content"]
        return json.loads(content)["city"] in ("Rome", "Paris")

    return Asked(asked.path, asked.body, is_whole)


def _messages(question: str) -> Asked:
    tool = {"name": "weather", "input_schema": _WEATHER}
    body = {"max_tokens": 200, "messages": [{"role": "user", "content": question}], "tools": [tool]}
    return Asked("/v1/messages", {**body, "tool_choice": {"type": "any"}}, _has("content"))


def _ollama(question: str) -> Asked:
    body = {"messages": [{"role": "user", "content": question}], "tools": [_TOOL]}
    return Asked("/api/chat", body, lambda data: b'"done":true' in data.splitlines()[-1])


def _has(name: str) -> Callable[[bytes], bool]:
    return lambda data: name in json.loads(data)


def _ends_with(end: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.endswith(end)


KINDS: Mapping[str, Callable[[str], Asked]] = {
    "chat": _chat,
    "stream": partial(_chat, stream=True),
    "plain": partial(_chat, reasoning_effort="none", max_tokens=8),
    "tools": _calls,
    "schema": _schema,
    "messages": _messages,
    "ollama": _ollama,
    "responses": lambda question: Asked("/v1/responses", {"input": question}, _has("output")),
}
"""Requests with a question, by kind."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server: its process, its port, and the file in which its stderr is."""

    process: subprocess.Popen[bytes]
    port: int
    said: Path

    def send(self, asked: Asked) -> Answer:
        """Ask, and read the whole answer."""
        with self._connection() as connection:
            try:
                connection.request("POST", asked.path, json.dumps(asked.body), JSON)
                response = connection.getresponse()
                return Answer(response.status, response.read())
            except _GONE:
                return Answer(0, b"")

    def leave(self, asked: Asked, seconds: float) -> None:
        """Ask, and go away after a while."""
        with self._connection() as connection, suppress(*_GONE):
            connection.request("POST", asked.path, json.dumps(asked.body), JSON)
            time.sleep(seconds)

    def use_mcp(self, question: str) -> bool:
        """One session of an agent that calls a tool; True if it gets a result."""
        with self._connection() as connection:

            def call(headers: Mapping[str, str], **message: Any) -> tuple[str, bytes]:
                body = json.dumps({"jsonrpc": "2.0", **message})
                connection.request("POST", "/mcp", body, {**MCP, **headers})
                response = connection.getresponse()
                return response.getheader("Mcp-Session-Id", ""), response.read()

            session = {"Mcp-Session-Id": call({}, id=1, method="initialize", params=_HANDSHAKE)[0]}
            call(session, method="notifications/initialized")
            params = {"name": "solve", "arguments": {"question": question}}
            _, found = call(session, id=2, method="tools/call", params=params)
            connection.request("DELETE", "/mcp", headers=session)
            connection.getresponse().read()
        return b'"structuredContent"' in found

    def processes(self) -> list[psutil.Process]:
        """The server's process and all below it."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def is_ready(self) -> bool:
        """True while questions can be asked."""
        with self._connection() as connection, suppress(*_GONE):
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False

    @contextmanager
    def _connection(self) -> Iterator[HTTPConnection]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def serving(
    model: Path | str, said: Path, *options: str, env: Mapping[str, str] | None = None
) -> Iterator[Serving]:
    """A server of this installation on a free port, once it is ready; killed at the end.

    Args:
        model: Its model.
        said: File for its stderr.
        options: More of its options.
        env: Its environment; None for ours.
    """
    command = [
        sys.executable,
        "-m",
        "adascale",
        "serve",
        "-m",
        str(model),
        "-o",
        "threads",
        "1",
        "--port",
        "0",
        *options,
    ]
    with said.open("wb") as stderr, subprocess.Popen(command, stderr=stderr, env=env) as process:
        try:
            while not (found := re.search(r"listening on http://\S+:(\d+)/v1", said.read_text())):
                assert process.poll() is None, said.read_text()
                time.sleep(0.02)
            server = Serving(process, int(found[1]), said)
            while not server.is_ready():
                assert process.poll() is None, said.read_text()
                time.sleep(0.02)
            yield server
        finally:
            process.kill()
