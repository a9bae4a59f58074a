"""A server that hands on what it is not sure of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from loopback import KEY, Call, listening
from replies import says
from scripted import judging
from scripted_server import CHAT, EchoPolicy, Served, chunks_of, say, served, steady

from adascale.models.fallback import Fallback
from adascale.models.options import FallbackOptions
from adascale.models.upstream.client import HANDED_ON
from adascale.serve import stream

GOOD = says("It is \\boxed{391}.")


@pytest.fixture(autouse=True)
def no_calls_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("adascale.models.fallback.state_folder", lambda: tmp_path)


@contextmanager
def handing_on(url: str) -> Iterator[Served]:
    """A server whose answers have a probability of .47."""
    fallback = Fallback(FallbackOptions(f"{url}#large", seconds=20.0), KEY)
    calibrators: Any = {"value": judging("value", 0.1)}
    with served(policy=EchoPolicy(steady), calibrators=calibrators, fallback=fallback) as running:
        yield running


ECHO = [say("Echo 18 + 0?")]


def test_a_stream_shows_signs_of_life_meanwhile_and_the_other_answer_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "SILENT_SECONDS", 0.1)

    def is_slow(call: Any) -> None:
        call.state.stopping.wait(0.5)
        GOOD(call)

    with listening(is_slow) as other, handing_on(other.url) as server:
        text = server.post(messages=ECHO, stream=True).text
    chunks = chunks_of(text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(each.get("content", "") for each in deltas) == "It is \\boxed{391}."
    assert [each["adascale"]["support"] for each in chunks if "adascale" in each] == [[]]
    assert "Handed on to 127.0.0.1" in "".join(each.get("reasoning", "") for each in deltas)
    assert any(line.startswith(":") for line in text.splitlines())


def test_what_was_handed_on_or_is_not_searched_is_not_handed_on() -> None:
    with listening(GOOD) as other, handing_on(other.url) as server:
        again = server.post(headers={HANDED_ON: "1"}, messages=ECHO).json()
        server.ask(messages=ECHO, reasoning_effort="none")
        server.ask(messages=[say("Write a poem about rain.")])
    assert again["adascale"]["answer"] == "18"
    assert other.asked == []


def test_a_client_that_leaves_ends_the_call() -> None:
    hung_up = threading.Event()

    def waits_for_the_end(call: Call) -> None:
        if not call.connection.recv(1):
            hung_up.set()

    with listening(waits_for_the_end) as other, handing_on(other.url) as server:
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(server.url + CHAT, json={"messages": ECHO}, timeout=1.0)
        assert hung_up.wait(10)
