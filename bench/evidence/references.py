"""Which reference solutions of code tasks the sandboxed interpreter runs, and why not the others.

Usage: ``python -m bench.evidence.references TASKS.jsonl [--cpython]``

A reference that does not pass its own tests is a task that cannot be judged there. ``--cpython`` runs all in
a bare CPython too, to tell a fault of the harness from a gap of the interpreter; nothing contains it, so use
it for references that you trust.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adascale.engine.code.harness import Harness, Verdict
from adascale.engine.code.suite import suite_of
from adascale.engine.code.task import read_task
from adascale.engine.ports import Execution
from adascale.models.programs.monty import MontyExecutor

from ..common import close, table


def harness(record: dict[str, Any]) -> Harness:
    """The reference of a task with all tests, those that a search may see and those that judge."""
    task = read_task(record["question"], record)
    assert task is not None
    return Harness(
        record["solution"], suite_of([*task.given.tests, *task.hidden.tests], record["entry_point"])
    )


def run_in_cpython(program: str) -> Execution:
    started = time.monotonic()
    command = [sys.executable, "-I", "-S", "-c", program]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return Execution("", "TimeoutError: killed", time.monotonic() - started)
    return Execution(done.stdout, done.stderr.strip().split("\n")[-1], time.monotonic() - started)


def reason(verdicts: Sequence[Verdict]) -> str:
    """Why a reference does not pass: its first verdict that is no pass."""
    first = next(verdict for verdict in verdicts if verdict.outcome != "passed")
    return f"{first.outcome}: {first.detail}" if first.outcome == "error" else first.outcome


def has_passed(verdicts: Sequence[Verdict]) -> bool:
    return all(verdict.outcome == "passed" for verdict in verdicts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("--cpython", action="store_true", help="run all in a bare CPython too, uncontained")
    args = parser.parse_args()
    tasks = [json.loads(line) for line in args.tasks.read_text(encoding="utf-8").splitlines()]
    others: dict[str, str] = {}
    faults: dict[str, str] = {}
    seconds: list[float] = []
    with MontyExecutor() as executor:
        for task in tasks:
            judged = harness(task)
            executor.submit(0, judged.source)
            [(_, execution)] = executor.collect(block=True)
            seconds.append(execution.seconds)
            verdicts = judged.verdicts(execution)
            if not has_passed(verdicts):
                others[task["id"]] = reason(verdicts)
            if args.cpython and not has_passed(again := judged.verdicts(run_in_cpython(judged.source))):
                faults[task["id"]] = reason(again)
    table(["task", "why not"], [[id_, why] for id_, why in others.items()])
    close(
        {
            "tasks": len(tasks),
            "passed": len(tasks) - len(others),
            "others": dict(Counter(others.values()).most_common()),
            "failed_in_cpython": faults if args.cpython else None,
            "median_seconds": sorted(seconds)[len(seconds) // 2],
        }
    )


if __name__ == "__main__":
    main()
