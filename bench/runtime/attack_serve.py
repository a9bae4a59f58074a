"""Requests that try to end or to block a server, and what it holds afterwards.

Usage: ``python -m bench.runtime.attack_serve [--model tiny] [--idle 300] [--seconds 20]``

Bodies of 50 MB, schemas that explode, references without end, patterns that backtrack, halves of surrogate
pairs, idle connections, and clients that read nothing or leave. While each goes on, another client asks a
plain question, which has to be answered within ``--seconds``. An attack is ``bad`` if its own request is not
answered in that time, ends in a 500, or the plain question waits longer. ``grown_mb`` is resident memory.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..common import arguments, close
from .serving import KINDS, Asked, Serving, serving
from .soak import model_file

CHAT = "/v1/chat/completions"


def chat(**more: Any) -> bytes:
    """The body of a chat request."""
    return json.dumps({"messages": [{"role": "user", "content": "1 + 1 apples"}], **more}).encode()


def form(schema: Mapping[str, Any]) -> bytes:
    """A request for JSON by a schema."""
    return chat(response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})


def nested(depth: int) -> dict[str, Any]:
    """Unions within each other."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"anyOf": [schema, {"allOf": [schema, schema]}]}
    return schema


def an_object(**properties: Any) -> dict[str, Any]:
    """The schema of an object."""
    return {"type": "object", "properties": properties, "required": [*properties]}


TOOL = {"type": "function", "function": {"name": "f", "parameters": an_object(a={"enum": ["x"] * 50})}}
BODIES: Mapping[str, bytes] = {
    "50 MB question": chat(messages=[{"role": "user", "content": "word " * 10_000_000}]),
    "50 MB of no JSON": b"[" * 50_000_000,
    "50 MB of another field": chat(user="u" * 50_000_000),
    "deep JSON": b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "product of unions": form(an_object(a={"allOf": [{"anyOf": [{}] * 100}] * 5})),
    "nested unions": form(an_object(a=nested(12))),
    "reference to itself": form({"$ref": "#"}),
    "recursive reference": form({"$defs": {"a": an_object(b={"$ref": "#/$defs/a"})}, "$ref": "#/$defs/a"}),
    "remote reference": form(an_object(a={"$ref": "http://127.0.0.1:9/schema.json"})),
    "reference to a file": form(an_object(a={"$ref": "file:///etc/passwd"})),
    "reference of 5,000 digits": form(an_object(a={"$ref": f"#/required/{'9' * 5000}"})),
    "pattern that backtracks": form(an_object(a={"type": "string", "pattern": "^(a+)+$"})),
    "pattern of 100 kB": form(an_object(a={"type": "string", "pattern": "(a|b)*" * 16_000})),
    "minLength of 10^9": form(an_object(a={"type": "string", "minLength": 10**9})),
    "enum of 100,000": form(an_object(a={"enum": [f"value {n}" for n in range(100_000)]})),
    "128 tools": chat(tools=[TOOL] * 128),
    "multipleOf of 4,000 digits": form(an_object(a={"type": "number", "multipleOf": 10**4000})),
    "halves of surrogate pairs": b'{"messages":[{"role":"user","content":"\\ud800 \\udfff"}]}',
    "bytes that are no UTF-8": b'{"messages":[{"role":"user","content":"\xff\xfe"}]}',
    "NUL": chat(messages=[{"role": "user", "content": "a\x00b"}]),
    "10,000 messages": chat(messages=[{"role": "user", "content": "and?"}] * 10_000),
    "n of 10^9": chat(n=10**9),
    "numbers without end": b'{"messages":[{"role":"user","content":"hi"}],"temperature":1e999,"seed":'
    + b"9" * 5000
    + b"}",
}


def post(server: Serving, body: bytes, seconds: float, path: str = CHAT) -> int:
    """The status of the answer; 0 if none comes in time, 1 if the server closed before its end."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        sender = threading.Thread(
            target=_send, args=(connection, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        )
        sender.start()
        try:
            answer = connection.recv(4096)
        except TimeoutError:
            return 0
        except OSError:
            return 1
        finally:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            sender.join()
        return int(answer.split()[1]) if answer.startswith(b"HTTP/") else 1


def _send(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        connection.sendall(data)


def attack(server: Serving, name: str, act: Callable[[], int], seconds: float) -> dict[str, Any]:
    """Attack, and ask a plain question meanwhile."""
    waits: list[float] = []

    def ask() -> None:
        began = time.monotonic()
        answer = server.send(Asked(CHAT, json.loads(chat(reasoning_effort="none", max_tokens=4)), bool))
        waits.append(time.monotonic() - began if answer.status == 200 else float("inf"))

    plain = threading.Thread(target=ask)
    began = time.monotonic()
    plain.start()
    status = act()
    took = time.monotonic() - began
    plain.join()
    is_bad = status in (0, 500) or waits[0] > seconds
    row = {
        "attack": name,
        "status": status,
        "seconds": round(took, 1),
        "plain": round(waits[0], 1),
        "bad": is_bad,
    }
    print(json.dumps(row), flush=True)
    return row


def idle(server: Serving, count: int) -> int:
    """Hold idle connections while a question is answered."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        return server.send(KINDS["chat"]("How many legs have 2 cats?")).status


def reads_nothing(server: Serving, seconds: float) -> int:
    """Ask for a stream, and read none of it."""
    body = json.dumps(KINDS["stream"]("Tell a story.").body).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(seconds)
    return 200


def leaves(server: Serving, count: int) -> int:
    """Ask for streams, and leave each soon."""
    for number in range(count):
        server.leave(KINDS["stream"](f"How many legs have {number} cats?"), 0.05)
    return 200


def main() -> None:
    args = arguments(__doc__, model="tiny", idle=300, seconds=20.0)
    with (
        model_file(args.model) as model,
        TemporaryDirectory() as name,
        serving(model, Path(name) / "stderr") as server,
    ):
        server.send(KINDS["chat"]("How many legs has a cat?"))
        before = sum(process.memory_info().rss for process in server.processes())
        acts: dict[str, Callable[[], int]] = {
            what: lambda body=body: post(server, body, args.seconds)  # type: ignore[misc]
            for what, body in BODIES.items()
        }
        acts["idle connections"] = lambda: idle(server, args.idle)
        acts["a client that reads nothing"] = lambda: reads_nothing(server, 5.0)
        acts["clients that leave"] = lambda: leaves(server, 20)
        rows = [attack(server, what, act, args.seconds) for what, act in acts.items()]
        time.sleep(2.0)
        after = sum(process.memory_info().rss for process in server.processes())
        assert server.is_ready(), "the server is gone"
        said = server.said.read_text()
    bad = [row["attack"] for row in rows if row["bad"]]
    tracebacks = said.count("Traceback")
    close({"attacks": len(rows), "bad": bad, "tracebacks": tracebacks, "grown_mb": (after - before) >> 20})
    assert not bad, "an attack has done harm"
    assert not tracebacks, "the server has failed somewhere"


if __name__ == "__main__":
    main()
