"""Replies of servers that answer well, badly, or not what they were asked for."""

from __future__ import annotations

import gzip
import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from loopback import Call, Reply

Event = Mapping[str, Any]


def answers(body: bytes, status: int = 200, **headers: str) -> Reply:
    """A whole answer."""

    def reply(call: Call) -> None:
        call.begin(status, **headers, Content_Length=str(len(body)))
        call.wfile.write(body)

    return reply


def errs(status: int, error: object, **headers: str) -> Reply:
    """A refusal with an error in JSON."""
    return answers(json.dumps({"error": error}).encode(), status, **headers)


def says(text: object, **choice: object) -> Reply:
    """A completion that is not streamed."""
    choices = [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop", **choice}]
    return answers(json.dumps({"object": "chat.completion", "choices": choices}).encode())


def broken(body: bytes, at: int, *, reset: bool = False) -> Reply:
    """The whole body is promised, and the connection ends after ``at`` bytes of it."""

    def reply(call: Call) -> None:
        call.begin(Content_Length=str(len(body)))
        call.wfile.write(body[:at])
        if reset:
            reset_connection(call)

    return reply


breaks_off = broken(b'{"choices": [' + bytes(999), 13)
"""Half a body."""


def reset_connection(call: Call) -> None:
    # Without this pause the client's kernel throws away what it has not handed out yet.
    time.sleep(0.05)
    call.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.connection.close()


def is_silent(call: Call) -> None:
    """No byte until the server stops."""
    call.state.stopping.wait(20)


def delta(text: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> Event:
    """An event with a piece of a choice; ``more`` stands beside its delta."""
    piece = {} if text is None else {"content": text}
    return {"choices": [{"index": index, "delta": piece, "finish_reason": finish, **more}]}


def token(text: str, *likeliest: tuple[str, float], logprob: float | None = -0.5) -> Event:
    """An event with a token, its log-probability and the likeliest ones there."""
    listed = [{"token": each, "logprob": value} for each, value in likeliest]
    entry = {"token": text, "logprob": logprob, "top_logprobs": listed}
    return delta(text, logprobs={"content": [entry]})


def usage(prompt: Any, written: Any, cached: int = 0) -> Event:
    """The event with the usage."""
    details = {"cached_tokens": cached}
    counts = {"prompt_tokens": prompt, "completion_tokens": written, "prompt_tokens_details": details}
    return {"choices": [], "usage": counts}


def sse(event: Event | str) -> bytes:
    """An event as it is sent."""
    return f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()


def begin(call: Call, **headers: str) -> None:
    """The headers of a stream."""
    call.begin(Content_Type="text/event-stream", **headers)


def streams(*events: Event | str, done: bool = True) -> Reply:
    """These events, and the end of the stream."""

    def reply(call: Call) -> None:
        begin(call)
        for event in (*events, *(["[DONE]"] if done else [])):
            call.wfile.write(sse(event))

    return reply


def writes_words(text: str, finish: str = "stop") -> Reply:
    """A text word by word."""
    words = text.split(" ")
    pieces = [word if at == 0 else f" {word}" for at, word in enumerate(words)]
    return streams(*map(delta, pieces), delta(finish=finish), usage(7, len(pieces)))


def in_turn(*replies: Reply) -> Reply:
    """The first reply for the first request, and so on; the last one for all others."""
    left = list(replies)
    return lambda call: (left.pop(0) if len(left) > 1 else left[0])(call)


def dies_after(*events: Event) -> Reply:
    """These events, and a connection that is reset."""

    def reply(call: Call) -> None:
        streams(*events, done=False)(call)
        reset_connection(call)

    return reply


def half_an_event(call: Call) -> None:
    """A stream that ends inside an event."""
    begin(call)
    call.wfile.write(sse(delta("It")) + sse(delta(" is 4."))[:20])


def never_ends(call: Call) -> None:
    """A token after another, whatever was asked for."""
    begin(call)
    while not call.state.stopping.is_set():
        call.wfile.write(sse(delta(" and")))


def drips(data: bytes, seconds: float = 0.02) -> Reply:
    """The headers of a stream, and these bytes again and again, slowly."""

    def reply(call: Call) -> None:
        begin(call)
        while not call.state.stopping.wait(seconds):
            call.wfile.write(data)

    return reply


def holds(*events: Event) -> Reply:
    """These events, and nothing more until the client is gone, which ``gone`` of the server then says."""

    def reply(call: Call) -> None:
        streams(*events, done=False)(call)
        call.connection.settimeout(20)
        with suppress(OSError):
            call.connection.recv(1)
        call.state.gone.set()

    return reply


def packs_a_bomb(call: Call) -> None:
    """A gigabyte of spaces in a megabyte, unasked."""
    begin(call, Content_Encoding="gzip")
    call.wfile.write(gzip.compress(b" " * (1 << 26), 1) * 16)


NULL_LOGPROBS = streams(
    token("It", logprob=None),
    token(" is", logprob=math.inf),
    token(" ", logprob=-(10**400)),
    token("", logprob=math.nan),
    delta("4.", "stop", logprobs=None),
)
"""Log-probabilities that are none."""
