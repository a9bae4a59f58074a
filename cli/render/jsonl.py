"""The event stream as JSON Lines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from adascale.engine.search.events import Event, to_json

from ..terminal.console import json_line
from .state import ViewState


class _JsonLines:
    """Lines on stderr as things happen; loading messages are of kind ``status``."""

    def status(self, text: str) -> None:
        """Write one loading message."""
        if text:
            self._write({"kind": "status", "text": text})

    @staticmethod
    def _write(data: Mapping[str, Any]) -> None:
        sys.stderr.write(json_line(data) + "\n")
        sys.stderr.flush()


class JsonRenderer(_JsonLines):
    """Writes every event of a search."""

    def __init__(self) -> None:
        self.record: ViewState | None = None

    def on(self, event: Event) -> None:
        """Write one event."""
        self.record = ViewState.after(self.record, event)
        self._write(to_json(event))


class JsonBatch(_JsonLines):
    """Writes every event of many searches, each with the ``id`` of its question."""

    def on(self, problem: str, event: Event) -> None:
        """Write one event."""
        self._write({"id": problem, **to_json(event)})
