"""What monty and CPython say of reference solutions, and whether recorded programs have their verdicts still.

Usage: ``python -m bench.evidence.executors TASKS.jsonl [bench/draws/code-0.5b-t.8.jsonl.gz ...]``

monty runs a subset of Python: a reference that does not pass its tests there shows a gap of it. Draws of code
tasks have how many of the given tests each program passes; all are judged again as a search would, which
shows what another executor or another repair changes. The draws here are of ``mbpp-fit-mixed.jsonl``
(``given_tests``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from adascale.codetasks.kind import trial_of
from adascale.codetasks.program import extract_program
from adascale.codetasks.reading import read_task
from adascale.codetasks.task import CodeTask, suite_of
from adascale.engine.types import Verdict
from adascale.models.programs.cpython import CPythonRunner
from adascale.models.programs.executor import MontyRunner

from ..common import close, read_lines, table


def gap(verdicts: Sequence[Verdict]) -> str:
    """Why a reference does not pass: its first verdict that is no pass; empty where it does."""
    first = next((verdict for verdict in verdicts if verdict.outcome != "passed"), None)
    return "" if first is None else f"{first.outcome} {first.detail}".strip()


def answer_of(text: str, task: CodeTask, cpython: CPythonRunner) -> str | None:
    """How many of the given tests the program in a text passes; None where it holds none."""
    program = extract_program(text, task.given.entry_point)
    if program is None:
        return None
    trial = trial_of(program, task.given)
    execution = trial.judged(cpython.judge(trial))
    return f"{execution.passed}/{len(execution.verdicts)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("draws", nargs="*", type=Path)
    args = parser.parse_args()
    records = [json.loads(line) for line in args.tasks.read_text(encoding="utf-8").splitlines()]
    tasks = {record["id"]: read_task(record["question"], record) for record in records}
    cpython = CPythonRunner()
    gaps: dict[str, tuple[str, str]] = {}
    with MontyRunner() as monty:
        for record in records:
            task = tasks[record["id"]]
            suite = suite_of([*task.given.tests, *task.hidden.tests], record["entry_point"])
            trial = trial_of(record["solution"], suite)
            in_monty, in_cpython = (
                gap(trial.judged(each.judge(trial)).verdicts) for each in (monty, cpython)
            )
            gaps[record["id"]] = in_monty, in_cpython
    table(["reference", "monty", "CPython"], [[id_, *why] for id_, why in gaps.items() if any(why)])
    judged, changed = 0, list[list[str]]()
    for path in args.draws:
        for draw in read_lines(path):
            for text, then in zip(draw["texts"], draw["answers"], strict=True):
                if text:
                    judged += 1
                    now = answer_of(text, tasks[draw["id"]], cpython)
                    if now != then:
                        changed.append([path.name, draw["id"], str(then), str(now)])
    table(["draws", "task", "tests passed then", "now"], changed)
    close(
        {
            "references": len(records),
            "passed_in_monty": sum(not why[0] for why in gaps.values()),
            "passed_in_cpython": sum(not why[1] for why in gaps.values()),
            "programs": judged,
            "changed": len(changed),
        }
    )


if __name__ == "__main__":
    main()
