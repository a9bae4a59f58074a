"""What a search sends from its worker to its parent, and what the parent does with it.

Usage: ``python -m bench.runtime.events TRACE.jsonl ...`` (of ``adascale batch --traces DIR``)

``kb`` are the pickled events of a question, ``load_ms`` the time to read them, ``record_ms`` to make the
record of them, ``record_kb`` its size, ``for_the_eye`` the share of events that only a view needs.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from adascale.cli.report.record import answer_record
from adascale.engine.search.events import BranchGrew, from_json
from adascale.models.worker.server import Happened

from ..common import close, table


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and the milliseconds of CPU that it took."""
    started = time.process_time()
    found = work()
    return found, (time.process_time() - started) * 1000


def measured(path: Path) -> dict[str, float]:
    """Figures of one trace."""
    log = [from_json(json.loads(line)) for line in path.read_text().splitlines()]
    sent = [pickle.dumps(Happened("q", event), protocol=pickle.HIGHEST_PROTOCOL) for event in log]
    _, load = timed(lambda: [pickle.loads(message) for message in sent])
    record, made = timed(lambda: answer_record(log, 0.0, "0"))
    return {
        "events": len(log),
        "kb": sum(map(len, sent)) / 1000,
        "load_ms": load,
        "record_ms": made,
        "record_kb": len(json.dumps(record)) / 1000,
        "for_the_eye": sum(isinstance(event, BranchGrew) for event in log) / len(log),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="+", type=Path)
    found = [measured(path) for path in parser.parse_args().traces]
    table(list(found[0]), [[f"{value:.3g}" for value in row.values()] for row in found])
    close({name: round(fmean(row[name] for row in found), 2) for name in found[0]})


if __name__ == "__main__":
    main()
