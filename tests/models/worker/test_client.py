"""A worker that dies: what is asked again, what fails, and when it is given up."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from scripted import logs_of

from adascale.engine.request import Request, Settings
from adascale.engine.search.events import PromptRead, SearchFailed, SearchFinished
from adascale.engine.strategies import strategy_named
from adascale.engine.types import Problem
from adascale.models.options import Reporting, SessionOptions
from adascale.models.worker import client
from adascale.models.worker.client import RESTARTS, Worker

SERVING = "from adascale.models.worker import server\n{}\nserver.main()"
DEADLY_TO_READ = SERVING.format(
    """
from adascale.models.llama.policy import LlamaPolicy
read = LlamaPolicy.open
def open_or_die(policy, problem, mode):
    return server.os._exit(9) if "deadly" in problem.question else read(policy, problem, mode)
LlamaPolicy.open = open_or_die
"""
)
DEADLY_TO_RECEIVE = SERVING.format(
    """
decode = server.decode
server.decode = lambda line: server.os._exit(9) if b"deadly" in line else decode(line)
"""
)
FAULTY_TO_SEARCH = SERVING.format(
    """
from adascale.engine.search.search import Search
advance = Search.advance
def advance_or_fail(search):
    if "faulty" in search.problem.question:
        raise KeyError("a mistake of ours")
    advance(search)
Search.advance = advance_or_fail
"""
)
SETTINGS = Settings(strategy_named("greedy"))


def questions(*texts: str, settings: Settings = SETTINGS) -> list[Request]:
    return [Request(Problem(str(n), text), settings) for n, text in enumerate(texts)]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def worker(chain_gguf: Path, said: list[str]) -> Worker:
    return Worker(SessionOptions(str(chain_gguf), branches=4, threads=1), Reporting(said.append))


@pytest.mark.parametrize("command", [DEADLY_TO_READ, pytest.param(DEADLY_TO_RECEIVE, marks=pytest.mark.slow)])
def test_a_deadly_question_fails_alone_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, worker: Worker, said: list[str], command: str
) -> None:
    monkeypatch.setattr(client, "_COMMAND", command)
    with worker:
        logs = logs_of(worker.serve(questions(*["deadly"] * (RESTARTS + 1), "1 + 1?")))
    *failed, answered = logs.values()
    assert len(failed) == RESTARTS + 1
    assert isinstance(answered[-1], SearchFinished)
    for log in failed:
        assert isinstance(log[-1], SearchFailed)
        assert log[-1].notice.code == "deadly-question"
        assert [(event.seq, event.kind) for event in log] == [(0, "search_started"), (1, "search_failed")]
    assert any("exit code 9; starting it again" in text for text in said)


def test_an_error_that_nobody_has_foreseen_ends_the_worker_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch, worker: Worker, said: list[str]
) -> None:
    monkeypatch.setattr(client, "_COMMAND", FAULTY_TO_SEARCH)
    with worker:
        *_, (_, event) = worker.serve(questions("a faulty one"))
        assert isinstance(event, SearchFailed)
        assert (event.notice.code, "KeyError: 'a mistake of ours'" in event.notice.message) == (
            "worker-died",
            True,
        )
        assert not any("starting it again" in text for text in said), "there is nothing left to search"
        *_, (_, last) = worker.serve(questions("1 + 1?"))
        assert isinstance(last, SearchFinished)


def test_a_model_that_computes_no_numbers_fails_each_question(tmp_path: Path) -> None:
    broken = tiny.write_chain(tmp_path / "broken.gguf", {"\n": {tiny.ADD: math.nan}})
    with Worker(SessionOptions(str(broken), branches=4, threads=1)) as worker:
        logs = logs_of(worker.serve(questions("1 + 1?", "2 + 2?")))
    failures = [log[-1] for log in logs.values()]
    assert all(isinstance(each, SearchFailed) and each.notice.code == "not-finite" for each in failures)
    assert len(failures) == 2


def test_nothing_of_a_run_is_left_when_it_has_ended(worker: Worker) -> None:
    with worker:
        before = set(threading.enumerate())
        for text in ("1 + 1?", "2 + 2?"):
            *_, (problem, last) = worker.serve(questions(text))
            assert problem.question == text
            assert isinstance(last, SearchFinished)
        for thread in set(threading.enumerate()) - before:
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_a_long_run_of_one_character_does_not_end_the_worker(worker: Worker) -> None:
    with worker:
        logs = logs_of(worker.serve(questions("<" * 40_000, "1 + 1?")))
    long, answered = (log[-1] for log in logs.values())
    assert isinstance(long, SearchFailed)
    assert long.notice.code == "context-overflow"
    assert isinstance(answered, SearchFinished)


def test_a_run_that_is_left_early_does_not_speak_into_the_next_one(worker: Worker) -> None:
    with worker:
        events = worker.serve(questions("1 + 1?", settings=Settings(strategy_named("vote"))))
        assert isinstance(events, Iterator)
        next(events)
        events.close()  # type: ignore[attr-defined]
        again = [(problem, event) for problem, event in worker.serve(questions("2 + 2?"))]
        assert {problem.question for problem, _ in again} == {"2 + 2?"}
        assert isinstance(again[-1][1], SearchFinished)


def test_one_search_of_several_is_cancelled_and_its_worker_goes_on(worker: Worker) -> None:
    patient = Settings(strategy_named("vote", samples=900))
    requests = [Request(Problem("long", "1 + 1?"), patient), Request(Problem("short", "2 + 2?"), SETTINGS)]
    ends: dict[str, str] = {}
    with worker:
        for problem, event in worker.serve(requests):
            if isinstance(event, PromptRead) and problem.id == "long":
                worker.cancel("long")
            if isinstance(event, SearchFinished):
                ends[problem.id] = event.result.stop_reason
        assert ends == {"long": "interrupted", "short": "exhausted"}
        *_, (_, last) = worker.serve(questions("3 + 3?"))
        assert isinstance(last, SearchFinished)
