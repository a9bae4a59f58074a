"""Events of a driver, sorted by problem, and a clock for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from adascale.engine.ports import Clock
from adascale.engine.search.events import Event, SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.types import Problem


def ticking() -> Clock:
    """A clock that goes on by a second whenever it is read, from 0."""
    return map(float, itertools.count()).__next__


def logs_of(events: Iterable[tuple[Problem, Event]]) -> dict[str, list[Event]]:
    """The log of each problem by its id, in the order in which they began."""
    logs: dict[str, list[Event]] = {}
    for problem, event in events:
        logs.setdefault(problem.id, []).append(event)
    return logs


def records_of(events: Iterable[tuple[Problem, Event]]) -> dict[str, Record]:
    """The record of each problem by its id, in the order in which they began."""
    return {id_: Record.of(log) for id_, log in logs_of(events).items()}


def ended(log: Sequence[Event]) -> SearchFinished:
    """The end of a search that did not fail."""
    last = log[-1]
    assert isinstance(last, SearchFinished)
    return last
