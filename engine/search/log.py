"""The log of one search: every change of its tree goes through here and the ``apply`` of ``replay``."""

from __future__ import annotations

from typing import Any

from ..ports import Clock
from .events import Event
from .replay import apply
from .tree import Tree


class EventLog:
    """Appends events and applies them, so that the log and the tree cannot disagree."""

    def __init__(self, tree: Tree, clock: Clock) -> None:
        self._tree = tree
        self._clock = clock
        self._started = clock()
        self._events: list[Event] = []
        self._seq = 0

    def emit(self, cls: type[Any], **fields: Any) -> None:
        """Append an event and apply it to the tree."""
        event: Event = cls(seq=self._seq, t=self.elapsed(), **fields)
        self._seq += 1
        apply(self._tree, event)
        self._events.append(event)

    def drain(self) -> list[Event]:
        """Events since the last call."""
        events, self._events = self._events, []
        return events

    def elapsed(self) -> float:
        """Seconds since the search began."""
        return self._clock() - self._started
