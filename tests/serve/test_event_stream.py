"""``POST /v1/searches``: the event log of a search, as it is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sample_log import Log
from scripted_server import EchoPolicy, Served, served

from adascale.engine.search.events import (
    Event,
    GeneratorDescription,
    ModelDescription,
    PRMDescription,
    SearchFailed,
    SearchFinished,
    SearchStarted,
    StepProposed,
    from_json,
)
from adascale.engine.search.record import Record
from adascale.engine.types import ROOT, Turn
from adascale.models.calibration.artefact import SUFFIX, describe, load_artefact
from adascale.models.calibration.installed import shipped_folder
from adascale.serve.protocols.event_stream import write_log
from adascale.serve.served import public_name
from bench.inline import echo


@contextmanager
def searching(server: Served, **body: Any) -> Iterator[httpx2.Response]:
    with httpx2.stream("POST", f"{server.url}/v1/searches", json=body, timeout=30) as response:
        yield response


def objects(response: httpx2.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def search(server: Served, **body: Any) -> list[Event]:
    with searching(server, **body) as response:
        assert response.status_code == 200, response.read()
        return [from_json(each) for each in objects(response)]


def test_the_stream_is_a_trace_that_folds_to_the_search(server: Served) -> None:
    events = search(server, question=" Echo 18. ", effort="high", max_tokens=2000, max_seconds=60, seed=1)
    again = search(server, question="Echo 18.", effort="high", max_tokens=2000, max_seconds=60, seed=1)
    assert [event.seq for event in events] == list(range(len(events)))
    record = Record.of(events)
    assert record.answer == "18"
    assert record.started.problem.question == "Echo 18."
    assert record.started.budget.max_tokens == 2000
    assert record.started.params["samples"] == 32
    assert [node.step for node in record.tree] == [node.step for node in Record.of(again).tree]


@pytest.mark.parametrize(
    ("more", "replies"), [({}, True), ({"effort": "low"}, False), ({"mode": "prose"}, False)]
)
def test_a_message_without_a_checkable_answer_gets_one_plain_reply(
    server: Served, more: dict[str, str], replies: bool
) -> None:
    record = Record.of(search(server, question="hi", seed=1, **more))
    assert record.started.problem.is_chat is replies
    assert (len(record.candidates) == 1) is replies


@pytest.mark.parametrize(
    ("question", "more", "kind"),
    [
        ("hi", {"kind": "auto", "effort": "low"}, "text"),
        ("Echo 18.", {"kind": "auto", "mode": "prose"}, "value"),
        ("Echo 18.", {"kind": "text"}, "text"),
        ("hi", {"kind": "fact"}, "fact"),
        ("hi", {"choices": ["yes", "maybe"]}, "choice"),
    ],
)
def test_a_message_is_taken_for_the_kind_that_is_asked_for(
    server: Served, question: str, more: dict[str, Any], kind: str
) -> None:
    record = Record.of(search(server, question=question, seed=1, **more))
    assert record.started.problem.kind == kind


def test_a_kind_that_cannot_be_is_refused(server: Served) -> None:
    with searching(server, question="hi", kind="choice") as refused:
        refused.read()
        assert refused.status_code == 400
        assert "different options" in refused.json()["error"]["message"]


def test_texts_are_readable_on_demand(server: Served) -> None:
    raw, plain = (
        "".join(map(repr, search(server, question="Echo 18.", effort="none", readable=readable)))
        for readable in (False, True)
    )
    assert "boxed" in raw
    assert "boxed" not in plain
    assert "**18**" in plain


def test_a_follow_up_is_asked_below_the_conversation(server: Served) -> None:
    said = [{"role": "user", "content": "Echo 7."}, {"role": "assistant", "content": "7"}]
    search(server, question="Echo 8.", history=said)
    asked = server.policy.opened[-1]
    with searching(server, question="Echo 8.", history=[{"role": "tool", "content": "7"}]) as refused:
        assert refused.status_code == 400
    assert asked.history == (Turn("user", "Echo 7."), Turn("assistant", "7"))


def test_a_search_that_fails_says_so_in_its_last_event(server: Served) -> None:
    *_, last = search(server, question="A long one")
    assert isinstance(last, SearchFailed)
    assert "9,999 tokens" in last.error().message


def test_a_search_can_be_ended_by_its_id_and_tells_what_it_found() -> None:
    with served(policy=EchoPolicy(echo, pause=0.02)) as server:
        with searching(server, question="Echo 18.", effort="max") as response:
            events = objects(response)
            first = from_json(next(events))
            assert isinstance(first, SearchStarted)
            url = f"{server.url}/v1/searches/{first.problem.id}"
            assert httpx2.delete(url).status_code == 204
            *_, last = [from_json(each) for each in events]
        assert isinstance(last, SearchFinished)
        assert last.result.stop_reason == "interrupted"
        gone = httpx2.delete(url)
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "no-such-search")
        server.wait_until_idle()
        assert (
            'adascale_searches_total{stop_reason="interrupted"} 1.0'
            in httpx2.get(f"{server.url}/metrics").text
        )


def written(log: Sequence[Event], *, is_readable: bool = False) -> list[Event]:
    """The events of a log as a client reads them."""

    async def events() -> AsyncGenerator[Event | None, None]:
        for event in log:
            yield event

    async def lines() -> bytes:
        return b"".join([line async for line in write_log(events(), is_readable=is_readable)])

    found = asyncio.run(lines()).decode().splitlines()
    return [from_json(json.loads(line.removeprefix("data: "))) for line in found if line.startswith("data: ")]


def test_programs_keep_their_backslashes() -> None:
    log = Log()
    log.program("print('\\\\boxed{1}')", (0.1, 0.2, 0.3), output="1", answer="1", tokens=5)
    log.finish_path(ROOT, "\\boxed{1}", (0.1, 0.2, 0.3), "1", tokens=5)
    steps = [
        event.step.text for event in written(log.events, is_readable=True) if isinstance(event, StepProposed)
    ]
    assert "\\\\boxed" in steps[0]
    assert steps[1] == "**1**"


def test_no_folder_of_this_machine_is_told() -> None:
    generator = GeneratorDescription("/home/me/model.gguf", "model.gguf")
    shipped = load_artefact(next(shipped_folder().glob(f"*{SUFFIX}")))
    calibration = describe(replace(shipped, path=Path("/home/me/mine.safetensors")))
    models = ModelDescription(generator, PRMDescription("/home/me/prm.gguf", "prm.gguf"), calibration)
    started = replace(Log().events[0], models=models)
    [told] = written([started])
    assert isinstance(told, SearchStarted)
    assert told.models.generator == GeneratorDescription("model", "model.gguf")
    assert told.models.prm == PRMDescription("prm", "prm.gguf")
    assert told.models.calibration == {**calibration, "file": None}
    assert "/home/me" not in repr(told)


@pytest.mark.parametrize(
    ("name", "file", "public"),
    [
        ("qwen3:1.7b", "sha256-ab", "qwen3:1.7b"),
        ("/home/me/x/qwen.GGUF", "qwen.GGUF", "qwen.GGUF"),
        ("/home/me/.ollama/models/blobs/sha256-ab", "sha256-ab", "sha256-ab"),
    ],
)
def test_the_name_of_a_model_says_no_folder(name: str, file: str, public: str) -> None:
    assert public_name(GeneratorDescription(name, file)) == public
