"""Runs reference solutions of code tasks, as they are and with one slip, in both interpreters.

Usage: ``python -m bench.evidence.executors TASKS.jsonl [--slips 2]``

monty runs a subset of Python. A reference that does not pass its tests there shows a gap of it; a slip
(another operator, comparison or number) shows whether both say the same of programs that may be wrong.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adascale.codetasks.harness import Harness
from adascale.codetasks.records import read_task
from adascale.codetasks.task import Suite, suite_of
from adascale.engine.execution import Verdict
from adascale.models.programs.cpython import CPythonRunner, find_sandbox
from adascale.models.programs.monty import MontyRunner

from ..common import close, table

OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mod, ast.Mod: ast.FloorDiv,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
"""The operator that replaces each operator."""


class Slip(ast.NodeTransformer):
    """Replaces the operator or adds one to the integer at one place, counted from 0."""

    def __init__(self, place: int) -> None:
        self.places = 0
        self._place = place

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        other = replacement(node)
        if other is None:
            return node
        self.places += 1
        return other if self.places == self._place + 1 else node


def replacement(node: ast.AST) -> ast.AST | None:
    """The operator or integer that a slip puts in its place; None for any other node."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return ast.Constant(node.value + 1)
    other = OTHER.get(type(node))
    return None if other is None else other()


def slips(program: str, number: int, rng: random.Random) -> Iterator[str]:
    """The program with one slip, at as many places as asked for."""
    count = Slip(-1)
    count.visit(ast.parse(program))
    for place in rng.sample(range(count.places), min(number, count.places)):
        yield ast.unparse(ast.fix_missing_locations(Slip(place).visit(ast.parse(program))))


def suite(record: dict[str, Any]) -> Suite:
    """All tests of a task: those that a search may see, and those that judge."""
    task = read_task(record["question"], record)
    assert task is not None
    return suite_of([*task.given.tests, *task.hidden.tests], record["entry_point"])


def gap(verdicts: Sequence[Verdict]) -> str:
    """Why a reference does not pass: its first verdict that is no pass; empty where it does."""
    first = next((verdict for verdict in verdicts if verdict.outcome != "passed"), None)
    return (
        ""
        if first is None
        else f"{first.outcome} {first.detail}"
        if first.outcome == "error"
        else first.outcome
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("--slips", type=int, default=2, help="of each reference")
    args = parser.parse_args()
    records = [json.loads(line) for line in args.tasks.read_text(encoding="utf-8").splitlines()]
    rng = random.Random(0)
    gaps: dict[str, tuple[str, str]] = {}
    pairs: Counter[tuple[str, str]] = Counter()
    cpython = CPythonRunner(find_sandbox())
    with MontyRunner() as monty:

        def judge(harness: Harness) -> tuple[Sequence[Verdict], Sequence[Verdict]]:
            first, second = (harness.verdicts(runner.judge(harness.trial)) for runner in (monty, cpython))
            return first, second

        for record in records:
            tests = suite(record)
            reference = judge(Harness(record["solution"], tests))
            gaps[record["id"]] = (gap(reference[0]), gap(reference[1]))
            for program in slips(record["solution"], args.slips, rng):
                both = judge(Harness(program, tests))
                pairs.update((one.outcome, other.outcome) for one, other in zip(*both, strict=True))
    table(["reference", "monty", "CPython"], [[id_, *why] for id_, why in gaps.items() if any(why)])
    table(["monty", "CPython", "verdicts on slips"], [[*pair, str(n)] for pair, n in pairs.most_common()])
    close(
        {
            "references": len(records),
            "passed_in_monty": sum(not why[0] for why in gaps.values()),
            "passed_in_cpython": sum(not why[1] for why in gaps.values()),
            "verdicts_on_slips": pairs.total(),
            "passed_in_monty_alone": sum(n for (one, other), n in pairs.items() if one == "passed" != other),
            "failed_in_monty_alone": pairs["failed", "passed"],
        }
    )


if __name__ == "__main__":
    main()
