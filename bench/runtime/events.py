"""Size and CPU time of the events that a worker sends to its parent.

Usage: ``python -m bench.runtime.events TRACE.jsonl ...`` (of ``adascale batch --traces DIR``)

``kb`` are the bytes of a question's events on the pipe, ``send_ms`` and ``read_ms`` the CPU to write and to
read them, ``record_ms`` to make the record of them, ``record_kb`` its size, ``view_only`` the share of events
that only a view needs. A trace holds no hidden states; neither does the pipe (``test_messages.py``).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from adascale.cli.report.answer import answer_record
from adascale.engine.answer import Answer
from adascale.engine.search.events import BranchGrew, from_json
from adascale.engine.search.record import Record
from adascale.models.worker.server import SearchEvent, decode, encode

from ..common import close, table


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a call, and its CPU time in milliseconds."""
    started = time.process_time()
    found = work()
    return found, (time.process_time() - started) * 1000


def measured(path: Path) -> dict[str, float]:
    """Figures of one trace."""
    log = [from_json(json.loads(line)) for line in path.read_text().splitlines()]
    sent, send_ms = timed(lambda: [encode(SearchEvent("1", event)) for event in log])
    received, read_ms = timed(lambda: [decode(line).event for line in sent])
    assert received == log
    record, record_ms = timed(lambda: answer_record(Answer.of(Record.of(received)), 0.0))
    return {
        "events": len(log),
        "kb": sum(map(len, sent)) / 1000,
        "send_ms": send_ms,
        "read_ms": read_ms,
        "record_ms": record_ms,
        "record_kb": len(json.dumps(record)) / 1000,
        "view_only": sum(isinstance(event, BranchGrew) for event in log) / len(log),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="+", type=Path)
    found = [measured(path) for path in parser.parse_args().traces]
    table(list(found[0]), [[f"{value:.3g}" for value in row.values()] for row in found])
    close({name: round(fmean(row[name] for row in found), 2) for name in found[0]})


if __name__ == "__main__":
    main()
