"""Decode steps of recorded searches under each schedule, by which a machine chooses one.

Usage: ``python -m bench.evidence.schedules bench/draws/votes-*.jsonl.gz [--orders 4] [--write]``

For each schedule of the family every recorded question is searched as ``ask`` searches it. What is counted
are the steps with 1, 2, ... branches side by side, to the first answer and to the firm one; their mean over
questions and orders times the cost of such steps is the time on a machine. ``--write`` puts them where
``models/llama/stepcost.py`` reads them; without it the choice of each curve is printed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from adascale.engine.request import Request, Settings
from adascale.engine.search.events import AnswerFound, SearchFinished
from adascale.engine.types import Schedule
from adascale.models.llama.stepcost import SCHEDULES

from ..common import table
from . import recorded_draws
from .seconds import CURVES, curve_of

WIDEST = 16
FAMILY = (
    *(Schedule.even(width) for width in (1, 2, 4, 8, 16)),
    *(Schedule(narrow, wide) for wide in (8, 16) for narrow in (1, 2, 4, 8, 12) if narrow < wide),
)


def searches(path: Path, schedule: Schedule, orders: int) -> Iterator[tuple[Counter[int], Counter[int]]]:
    """Steps to the first and to the firm answer of each search of a file."""
    header, driver, problems, policy = recorded_draws.replay_driver(path, orders)
    strategy = recorded_draws.adaptive(header)
    for order in range(orders):
        settings = Settings(strategy, seed=header["seed"] + order, schedule=schedule)
        for problem in problems:
            policy.steps, first = Counter(), None
            for _, event in driver.serve([Request(problem, settings)]):
                if first is None and isinstance(event, AnswerFound) and event.answer is not None:
                    first = policy.steps.copy()
                if isinstance(event, SearchFinished):
                    yield first or policy.steps.copy(), policy.steps.copy()


def counted(paths: Sequence[Path], schedule: Schedule, orders: int) -> dict[str, list[float]]:
    """Mean steps with so many branches, to the first and to the firm answer."""
    both = [each for path in paths for each in searches(path, schedule, orders)]
    sums = [sum((steps[at] for steps in both), Counter[int]()) for at in (0, 1)]
    first, firm = (
        [round(total[branches] / len(both), 1) for branches in range(1, WIDEST + 1)] for total in sums
    )
    return {"schedule": [schedule.narrow, schedule.wide], "first": first, "firm": firm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--orders", type=int, default=4)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    rows = []
    for schedule in FAMILY:
        rows.append(counted(args.files, schedule, args.orders))
        print(json.dumps(rows[-1]), flush=True)
    if args.write:
        SCHEDULES.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    names = [*json.loads(CURVES.read_text())]
    table(
        ["curve", "1.5b", "0.5b"],
        [
            [name, *(str(curve_of(name, model).best_schedule(WIDEST)) for model in ("-1.5b", "-0.5b"))]
            for name in names
        ],
    )


if __name__ == "__main__":
    main()
