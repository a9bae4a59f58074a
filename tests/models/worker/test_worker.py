"""A worker that dies: what is asked again, who is to blame, what it said at last, and when it is given up."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import tiny
from scripted import ScriptedPolicy, logs_of, scripted_step
from scripted_server import OPENED

from adascale.engine.errors import AdascaleError, ModelCorruptError, WorkerAbortedError, WorkerDiedError
from adascale.engine.ports import SequenceLogprob
from adascale.engine.request import Request, Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import (
    Event,
    PromptRead,
    SearchFailed,
    SearchFinished,
    SearchStarted,
)
from adascale.engine.strategies import strategy_named
from adascale.engine.types import Notice, Problem
from adascale.models.options import Reporting, SessionOptions
from adascale.models.worker import client, server
from adascale.models.worker.client import RESTARTS, Questions, Worker
from adascale.models.worker.server import EndOfQuestions, OpenModels, RunEnded, SearchEvent, decode, encode

SERVING = "from adascale.models.worker import server\n{}\nserver.main()"
FAULTY_TO_SEARCH = SERVING.format(
    """
from adascale.engine.search.driver import Driver
step = Driver.step
def step_or_fail(driver):
    if any("faulty" in search.problem.question for search in driver._active):
        raise KeyError("a mistake of ours")
    step(driver)
Driver.step = step_or_fail
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


def test_an_unforeseen_error_ends_the_worker_but_not_the_run(
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


def test_logits_that_are_not_finite_fail_each_question(tmp_path: Path) -> None:
    broken = tiny.write_chain(tmp_path / "broken.gguf", {"\n": {tiny.ADD: math.nan}})
    with Worker(SessionOptions(str(broken), branches=4, threads=1)) as worker:
        logs = logs_of(worker.serve(questions("1 + 1?", "2 + 2?")))
    failures = [log[-1] for log in logs.values()]
    assert all(isinstance(each, SearchFailed) and each.notice.code == "not-finite" for each in failures)
    assert len(failures) == 2


def test_a_run_leaves_no_threads(worker: Worker) -> None:
    with worker:
        before = set(threading.enumerate())
        for text in ("1 + 1?", "2 + 2?"):
            *_, (problem, last) = worker.serve(questions(text))
            assert problem.question == text
            assert isinstance(last, SearchFinished)
        for thread in set(threading.enumerate()) - before:
            thread.join(timeout=10)
            assert not thread.is_alive()


@pytest.mark.skipif(sys.platform == "win32", reason="no local sockets")
def test_a_kept_worker_serves_only_the_same_models(
    chain_gguf: Path, random_gguf: Path, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def ask(model: Path, seconds: float) -> tuple[bool, list[Event]]:
        """True if the model was loaded; and the log."""
        said.clear()
        with Worker(SessionOptions(str(model), branches=4), Reporting(said.append), seconds) as worker:
            log = [event for _, event in worker.serve(questions("What is twice 9?"))]
        return any("Loading" in text for text in said), [replace(event, t=0.0) for event in log]

    first = ask(chain_gguf, 20)
    end = time.monotonic() + 20
    while not server.kept_socket().is_socket() and time.monotonic() < end:
        time.sleep(0.01)
    again = ask(chain_gguf, 20)
    assert (first[0], again[0]) == (True, False)
    assert [event.kind for event in again[1]] == [event.kind for event in first[1]]
    assert ask(random_gguf, 0.1)[0]


def test_a_long_run_of_one_character_does_not_end_the_worker(worker: Worker) -> None:
    with worker:
        logs = logs_of(worker.serve(questions("<" * 40_000, "1 + 1?")))
    long, answered = (log[-1] for log in logs.values())
    assert isinstance(long, SearchFailed)
    assert long.notice.code == "context-overflow"
    assert isinstance(answered, SearchFinished)


def test_events_of_an_abandoned_run_do_not_reach_the_next_one(worker: Worker) -> None:
    with worker:
        events = worker.serve(questions("1 + 1?", settings=Settings(strategy_named("vote"))))
        assert isinstance(events, Iterator)
        next(events)
        events.close()  # type: ignore[attr-defined]
        again = [(problem, event) for problem, event in worker.serve(questions("2 + 2?"))]
        assert {problem.question for problem, _ in again} == {"2 + 2?"}
        assert isinstance(again[-1][1], SearchFinished)


def test_one_of_several_searches_is_cancelled_and_the_others_finish(worker: Worker) -> None:
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


ASSERTION = "/home/me/some where/ggml.c:7: GGML_ASSERT(a / b > 0.c) failed"
LOADING = """
from adascale.models.worker.server import Report, encode
open(1, "wb").write(encode(Report("loading", "my.gguf")))
"""


def dying(says: str, number: int, before: str = "") -> str:
    """A worker that dies of a signal."""
    end = f"sys.stderr.write({says!r}); sys.stderr.flush(); os.kill(os.getpid(), {number:d})"
    return f"import os, sys\n{before}\n{end}"


def ending(monkeypatch: pytest.MonkeyPatch, command: str) -> WorkerDiedError:
    """Why a worker could not be opened."""
    monkeypatch.setattr(client, "_COMMAND", command)
    with pytest.raises(WorkerDiedError) as caught, Worker(SessionOptions("any")):
        pass
    return caught.value


@pytest.mark.parametrize(
    ("says", "fact"),
    [
        (f"{ASSERTION}\n{ASSERTION}\n", "ggml.c:7: GGML_ASSERT(a / b > 0.c) failed"),
        (f"{ASSERTION}\n{ASSERTION[:-12]}", "ggml.c:7: GGML_ASSERT(a / b > 0.c) failed"),  # another thread's
        ("terminate called after throwing an instance of 'X'\n  what():  map::at\n", "map::at"),
    ],
)
def test_an_abort_is_an_error_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], says: str, fact: str
) -> None:
    error = ending(monkeypatch, dying(f"before\n{says}", signal.SIGABRT))
    assert isinstance(error, WorkerAbortedError)
    assert (error.facts, error.hint) == ((fact,), "")
    assert capfd.readouterr().err == f"before\n{says}", "all is passed on"


@pytest.mark.parametrize(
    ("says", "number", "before", "kind"),
    [
        ("", signal.SIGSEGV, LOADING, ModelCorruptError),
        ("", signal.SIGKILL, LOADING, WorkerDiedError),
        ("", 40, LOADING, WorkerDiedError),  # a signal without a name
        ("/x/ggml-cuda.cu:9: CUDA error\n", signal.SIGABRT, LOADING, WorkerDiedError),
        (ASSERTION, signal.SIGABRT, "", WorkerDiedError),
    ],
)
def test_a_file_is_corrupt_only_after_an_abort_while_it_is_opened(
    monkeypatch: pytest.MonkeyPatch, says: str, number: int, before: str, kind: type[AdascaleError]
) -> None:
    monkeypatch.setattr(client, "_COMMAND", dying(says, number, before))
    with pytest.raises(kind) as caught, Worker(SessionOptions("any")):
        pass
    if kind is ModelCorruptError:
        assert caught.value.message == "my.gguf makes llama.cpp abort while it is opened"
        assert caught.value.slug == "bad-gguf"
        assert "was ended by signal 11 (" in caught.value.facts[0]
    else:
        assert f"was ended by signal {number:d} (" in caught.value.message
        assert ("memory" in caught.value.hint) == (number == signal.SIGKILL)


DIED = WorkerDiedError("it died", "a fact", hint="a hint")


def question(name: str) -> Request:
    return Request(Problem(name, f"{name}?"), SETTINGS)


def log_of(request: Request) -> list[Event]:
    """A whole search."""
    policy = ScriptedPolicy(lambda prefix, rng: scripted_step("\\boxed{7}", "stop"))
    driver = Driver(policy, SequenceLogprob(), {}, lambda: 0.0)
    return [event for _, event in driver.serve([request])]


Searched = Callable[..., dict[str, list[Event]]]
Fate = tuple[type[Event] | None, bool]
"""The last event that a question gets, None for no event, and whether the worker dies then."""


class Mortal:
    """A worker process without a model, in the place of its ``subprocess.Popen`` and of that one's stdin.

    Args:
        fates: By question, what happens each time that it is asked; without a fate it is answered.
        lines: Where the messages go.
    """

    def __init__(self, fates: Mapping[str, list[Fate]], lines: SimpleQueue[Any]) -> None:
        self.stdin = self
        self._fates = fates
        self._lines = lines
        self._dead = False

    def write(self, line: bytes) -> None:
        match None if self._dead else decode(line):
            case OpenModels():
                self._lines.put(encode(OPENED))
            case EndOfQuestions():
                self._lines.put(encode(RunEnded()))
            case Request() as request:
                self._search(request)

    def _search(self, request: Request) -> None:
        fates = self._fates.get(request.problem.id)
        last, dies = fates.pop(0) if fates else (SearchFinished, False)
        for event in log_of(request) if last is not None else ():
            self._lines.put(encode(SearchEvent(request.problem.id, event)))
            if isinstance(event, last):
                break
        if dies:
            self._dead = True
            self._lines.put(DIED)

    def flush(self) -> None:
        pass

    close = kill = wait = flush


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> Searched:
    """Logs of the questions that have fates, and of a last one, ``z``."""

    def search(fates: Mapping[str, list[Fate]], **options: bool) -> dict[str, list[Event]]:
        monkeypatch.setattr(client, "_start", lambda lines: Mortal(fates, lines))
        with Worker(SessionOptions()) as worker:
            return logs_of(worker.serve(map(question, [*fates, "z"]), **options))

    return search


def kinds(log: list[Event]) -> list[type[Event]]:
    return [type(event) for event in log]


def end(log: list[Event]) -> Notice:
    """The error that ended a search."""
    assert isinstance(log[-1], SearchFailed)
    assert type(log[-1].error()) is WorkerDiedError
    return log[-1].notice


def next_of(questions: Questions, news: SimpleQueue[None]) -> Request | None:
    """The next question, which may be waited for."""
    if (found := questions.take()) is None and not questions.exhausted:
        news.get(timeout=10)
        found = questions.take()
    return found


def test_questions_are_read_on_demand() -> None:
    read: list[str] = []

    def requests() -> Iterator[Request]:
        for name in "ab":
            read.append(name)
            yield question(name)

    news: SimpleQueue[None] = SimpleQueue()
    questions = Questions(requests(), lambda: news.put(None))
    assert read == []
    assert next_of(questions, news) == question("a")
    assert read == ["a"]
    assert next_of(questions, news) == question("b")
    assert not questions.exhausted
    assert next_of(questions, news) is None
    assert questions.exhausted


def test_an_error_of_the_questions_iterator_is_raised_by_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def requests() -> Iterator[Request]:
        yield question("a")
        raise OSError("the disk is gone")

    monkeypatch.setattr(client, "_start", lambda lines: Mortal({}, lines))
    with Worker(SessionOptions()) as worker, pytest.raises(OSError, match="the disk is gone"):
        list(worker.serve(requests()))


def test_after_a_death_running_searches_fail_and_waiting_ones_are_sent_again(searched: Searched) -> None:
    logs = searched({"a": [(PromptRead, False)], "b": [(None, True)]})
    assert kinds(logs["a"]) == [SearchStarted, PromptRead, SearchFailed]
    assert [event.seq for event in logs["a"]] == [0, 1, 2]
    assert end(logs["a"]) == DIED.notice
    assert logs["b"] == log_of(question("b"))
    assert logs["z"] == log_of(question("z"))


def test_with_retry_a_running_search_is_repeated_once(searched: Searched) -> None:
    dies = (PromptRead, True)
    once = searched({"a": [dies]}, retry=True)
    assert once["a"][2:] == log_of(question("a"))
    assert once["z"] == log_of(question("z"))
    twice = searched({"a": [dies, dies]}, retry=True)
    assert kinds(twice["a"]) == [*[SearchStarted, PromptRead] * 2, SearchFailed]
    assert end(twice["a"]) == DIED.notice


@pytest.mark.parametrize("retry", [False, True])
def test_a_question_lost_with_its_prompt_or_twice_before_it_begins_is_deadly(
    searched: Searched, retry: bool
) -> None:
    many = [str(number) for number in range(RESTARTS + 1)]
    fates: dict[str, list[Fate]] = {name: [(SearchStarted, True)] for name in many}
    logs = searched(fates | {"a": [(None, True), (None, True)]}, retry=retry)
    for name in (*many, "a"):
        assert kinds(logs[name]) == [SearchStarted, SearchFailed]
        assert end(logs[name]) == replace(DIED.notice, code="deadly-question")
    assert logs["z"] == log_of(question("z"))


def test_repeated_deaths_without_an_answer_in_between_end_the_run(
    searched: Searched,
) -> None:
    def deaths(first: int, count: int) -> dict[str, list[Fate]]:
        return {str(first + number): [(PromptRead, True)] for number in range(count)}

    logs = searched(deaths(0, RESTARTS) | {"answered": []} | deaths(10, RESTARTS))
    assert isinstance(logs["z"][-1], SearchFinished)
    with pytest.raises(WorkerDiedError, match="it died"):
        searched(deaths(0, RESTARTS + 1))
