"""Traces on the disk."""

from __future__ import annotations

from pathlib import Path

from adascale.cli.disk.trace import TraceWriter
from adascale.engine.search.events import Event


def written(path: Path, events: list[Event]) -> Path:
    with TraceWriter(path) as writer:
        for event in events:
            writer.write(event)
    return path
