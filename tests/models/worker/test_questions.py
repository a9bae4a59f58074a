"""Questions are read one at a time, and none is lost with its worker but the one that is to blame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import pytest
from scripted import logs_of

from adascale.engine.errors import WorkerDiedError
from adascale.engine.ports import SequenceLogprob
from adascale.engine.request import Request, Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event, PromptRead, SearchFailed, SearchFinished, SearchStarted
from adascale.engine.strategies import strategy_named
from adascale.engine.types import Notice, Problem
from adascale.models.options import SessionOptions
from adascale.models.worker import client
from adascale.models.worker.client import RESTARTS, Questions, Worker
from adascale.models.worker.server import EndOfQuestions, OpenModels, RunEnded, SearchEvent, decode, encode
from bench.scripted import OPENED, ScriptedPolicy, scripted_step

SETTINGS = Settings(strategy_named("greedy"))
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


def test_a_question_is_read_when_it_is_asked_for_and_not_before() -> None:
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


def test_an_error_in_reading_the_questions_is_raised_where_they_are_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def requests() -> Iterator[Request]:
        yield question("a")
        raise OSError("the disk is gone")

    monkeypatch.setattr(client, "_start", lambda lines: Mortal({}, lines))
    with Worker(SessionOptions()) as worker, pytest.raises(OSError, match="the disk is gone"):
        list(worker.serve(requests()))


def test_what_had_begun_fails_and_what_had_not_is_asked_again(searched: Searched) -> None:
    logs = searched({"a": [(PromptRead, False)], "b": [(None, True)]})
    assert kinds(logs["a"]) == [SearchStarted, PromptRead, SearchFailed]
    assert [event.seq for event in logs["a"]] == [0, 1, 2]
    assert end(logs["a"]) == DIED.notice
    assert logs["b"] == log_of(question("b"))
    assert logs["z"] == log_of(question("z"))


def test_what_had_begun_is_asked_once_more_where_that_is_wanted(searched: Searched) -> None:
    dies = (PromptRead, True)
    once = searched({"a": [dies]}, retry=True)
    assert once["a"][2:] == log_of(question("a"))
    assert once["z"] == log_of(question("z"))
    twice = searched({"a": [dies, dies]}, retry=True)
    assert kinds(twice["a"]) == [SearchStarted, PromptRead, SearchStarted, PromptRead, SearchFailed]
    assert end(twice["a"]) == DIED.notice


@pytest.mark.parametrize("retry", [False, True])
def test_a_question_whose_prompt_is_deadly_is_to_blame_and_so_is_one_that_is_lost_twice_before_it_begins(
    searched: Searched, retry: bool
) -> None:
    many = [str(number) for number in range(RESTARTS + 1)]
    fates: dict[str, list[Fate]] = {name: [(SearchStarted, True)] for name in many}
    logs = searched(fates | {"a": [(None, True), (None, True)]}, retry=retry)
    for name in (*many, "a"):
        assert kinds(logs[name]) == [SearchStarted, SearchFailed]
        assert end(logs[name]) == replace(DIED.notice, code="deadly-question")
    assert logs["z"] == log_of(question("z"))


def test_a_worker_that_dies_for_no_known_reason_is_given_up_unless_it_answers_in_between(
    searched: Searched,
) -> None:
    def deaths(first: int, count: int) -> dict[str, list[Fate]]:
        return {str(first + number): [(PromptRead, True)] for number in range(count)}

    logs = searched(deaths(0, RESTARTS) | {"answered": []} | deaths(10, RESTARTS))
    assert isinstance(logs["z"][-1], SearchFinished)
    with pytest.raises(WorkerDiedError, match="it died"):
        searched(deaths(0, RESTARTS + 1))
