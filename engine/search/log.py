"""The log of one search: whatever changes it goes through here, and so through the fold of ``record``."""

from __future__ import annotations

from dataclasses import replace

from ..ports import Clock
from .events import Event, SearchStarted
from .record import Record


class EventLog:
    """Stamps events, folds them and keeps them, so that the log and the record cannot disagree.

    Args:
        started: The first event.
        clock: Time.

    Attributes:
        record: What all events so far add up to.
    """

    def __init__(self, started: SearchStarted, clock: Clock) -> None:
        self._clock = clock
        self._began = clock()
        self._seq = 1
        first = replace(started, seq=0, t=self.elapsed())
        self._undelivered: list[Event] = [first]
        self.record = Record(first)

    def emit(self, event: Event) -> None:
        """Append an event, stamped with its number and the time."""
        stamped = replace(event, seq=self._seq, t=self.elapsed())
        self._seq += 1
        self.record.add(stamped)
        self._undelivered.append(stamped)

    def drain(self) -> list[Event]:
        """Events since the last call."""
        events, self._undelivered = self._undelivered, []
        return events

    def elapsed(self) -> float:
        """Seconds since the search began."""
        return self._clock() - self._began
