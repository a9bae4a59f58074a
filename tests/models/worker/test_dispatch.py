"""Questions are drawn one at a time, and none is lost with its engine but the one that is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue

from adascale.engine.errors import WorkerDiedError
from adascale.engine.ports import SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event, PromptRead, SearchFailed, SearchStarted
from adascale.engine.search.settings import Request, Settings
from adascale.engine.strategies import strategy_named
from adascale.engine.types import Problem
from adascale.models.worker.dispatch import Flight, QuestionSource
from bench.scripted import ScriptedPolicy, scripted_step

SETTINGS = Settings(strategy_named("greedy"))
DIED = WorkerDiedError("it died", "a fact", hint="a hint")


def question(name: str) -> Request:
    return Request(Problem(name, f"{name}?"), SETTINGS)


def log_of(request: Request) -> list[Event]:
    """A whole search."""
    policy = ScriptedPolicy(lambda prefix, rng: scripted_step("\\boxed{7}", "stop"))
    driver = Driver(policy, SequenceLogprob(), {}, lambda: 0.0)
    return [event for _, event in driver.serve([request])]


def begun(flight: Flight, request: Request, last: type[Event]) -> None:
    """Give the engine a question, and follow its log up to an event."""
    flight.add(request)
    for event in log_of(request):
        flight.follow(request.problem.id, event)
        if isinstance(event, last):
            return


class Drawn:
    """A source whose questions can be waited for."""

    def __init__(self, requests: Iterator[Request]) -> None:
        self._news: SimpleQueue[None] = SimpleQueue()
        self.source = QuestionSource(requests, lambda: self._news.put(None))

    def next(self) -> Request | None:
        if (found := self.source.take()) is None and not self.source.exhausted:
            self._news.get(timeout=10)
            found = self.source.take()
        return found


def test_a_question_is_drawn_when_it_is_asked_for_and_not_before() -> None:
    drawn: list[str] = []

    def draw() -> Iterator[Request]:
        for name in "ab":
            drawn.append(name)
            yield question(name)

    questions = Drawn(draw())
    assert drawn == []
    assert questions.next() == question("a")
    assert drawn == ["a"]
    assert questions.next() == question("b")
    assert not questions.source.exhausted
    assert questions.next() is None
    assert questions.source.exhausted


def test_a_question_that_was_given_back_comes_first_and_only_once() -> None:
    questions = Drawn(iter([question("a"), question("b")]))
    first = questions.next()
    assert first is not None
    assert questions.source.give_back(first)
    assert questions.next() == first
    assert not questions.source.give_back(first)
    assert questions.next() == question("b")
    questions.next()
    assert questions.source.exhausted
    assert questions.source.give_back(question("b"))
    assert not questions.source.exhausted


def test_what_had_begun_fails_and_what_had_not_is_asked_again() -> None:
    flight, source = Flight(), QuestionSource([], lambda: None)
    begun(flight, question("a"), PromptRead)
    flight.add(question("b"))
    [(problem, event)] = flight.lose(DIED, source, retry=False)
    assert problem == question("a").problem
    assert isinstance(event, SearchFailed)
    assert event.seq == 2
    assert type(event.error()) is WorkerDiedError
    assert vars(event.error()) == vars(DIED)
    assert flight.deaths == 1
    assert list(flight.lose(DIED, source, retry=False)) == []
    assert source.take() == question("b")


def test_what_had_begun_is_asked_once_more_where_that_is_wanted() -> None:
    flight, source = Flight(), QuestionSource([], lambda: None)
    begun(flight, question("a"), PromptRead)
    assert list(flight.lose(DIED, source, retry=True)) == []
    assert source.take() == question("a")
    begun(flight, question("a"), PromptRead)
    [(_, event)] = flight.lose(DIED, source, retry=True)
    assert isinstance(event, SearchFailed)
    assert event.notice == DIED.notice


def test_a_question_whose_prompt_is_deadly_is_to_blame() -> None:
    flight, source = Flight(), QuestionSource([], lambda: None)
    begun(flight, question("a"), SearchStarted)
    [(_, event)] = flight.lose(DIED, source, retry=False)
    assert isinstance(event, SearchFailed)
    assert event.notice == replace(DIED.notice, code="deadly-question")
    assert flight.deaths == 0


def test_a_question_that_is_deadly_before_it_begins_fails_the_second_time() -> None:
    flight, source = Flight(), QuestionSource([], lambda: None)
    flight.add(question("a"))
    assert list(flight.lose(DIED, source, retry=False)) == []
    assert source.take() == question("a")
    assert flight.deaths == 1
    flight.add(question("a"))
    assert [type(event) for _, event in flight.lose(DIED, source, retry=False)] == [
        SearchStarted,
        SearchFailed,
    ]
    assert flight.deaths == 0
