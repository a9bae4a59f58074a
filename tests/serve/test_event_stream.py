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
from adascale.engine.types import ROOT
from adascale.models.calibration.artefact import SUFFIX, describe, load_artefact, shipped_folder
from adascale.serve.event_stream import write_log
from adascale.serve.request import public_name
from bench.scripted import echo


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
    *_, last = events = search(server, question=" Echo 18. ", effort="high")
    assert [event.seq for event in events] == list(range(len(events)))
    record = Record.of(events)
    assert isinstance(last, SearchFinished)
    assert record.answer == last.result.answer in {"18", "19"}, "one solution of four says 19"
    assert record.started.problem.question == "Echo 18."
    assert record.started.params["samples"] == 32
    assert "boxed" not in repr(events), "prose has plain characters"
    assert search(server, question="hi")[0].problem.is_chat  # type: ignore[attr-defined]


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


def written(log: Sequence[Event]) -> list[Event]:
    """The events of a log as a client reads them."""

    async def events() -> AsyncGenerator[Event | None, None]:
        for event in log:
            yield event

    async def lines() -> bytes:
        return b"".join([line async for line in write_log(events())])

    found = asyncio.run(lines()).decode().splitlines()
    return [from_json(json.loads(line.removeprefix("data: "))) for line in found if line.startswith("data: ")]


def test_programs_keep_their_backslashes() -> None:
    log = Log()
    log.program("print('\\\\boxed{1}')", (0.1, 0.2, 0.3), output="1", answer="1", tokens=5)
    log.finish_path(ROOT, "\\boxed{1}", (0.1, 0.2, 0.3), "1", tokens=5)
    steps = [event.step.text for event in written(log.events) if isinstance(event, StepProposed)]
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
