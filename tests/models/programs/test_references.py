"""Reference solutions pass their tests in both interpreters; what monty lacks is an error.

Tasks of MBPP (Austin et al., "Program Synthesis with Large Language Models", arXiv 2108.07732; Google,
CC-BY-4.0), with references as EvalPlus has them (Liu et al., arXiv 2305.01210; Apache-2.0), three tests each.
All of them: ``python -m bench.evidence.executors``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cpython
import pytest

from adascale.codetasks.kind import Harness
from adascale.codetasks.reading import read_tests
from adascale.codetasks.task import suite_of
from adascale.engine.types import Verdict
from adascale.models.programs.executor import MontyRunner


def harness_of(task: Mapping[str, Any]) -> Harness:
    setup = "\n".join(task["imports"])
    return Harness(task["solution"], suite_of([t for s in task["tests"] for t in read_tests(s, setup=setup)]))


LINES = Path(__file__).with_name("references.jsonl").read_text(encoding="utf-8").splitlines()
REFERENCES = {task["id"]: harness_of(task) for task in map(json.loads, LINES)}
BEYOND = REFERENCES.pop("mbpp-585")
"""Needs a module that monty lacks."""
PASSED = (Verdict("passed"),) * 3


@pytest.fixture(scope="module")
def monty() -> Iterator[MontyRunner]:
    with MontyRunner() as runner:
        yield runner


@pytest.mark.parametrize("task", REFERENCES)
def test_a_reference_passes_in_both_and_another_program_does_not(monty: MontyRunner, task: str) -> None:
    right = REFERENCES[task]
    wrong = replace(right, program=f"def {right.suite.entry_point}(*args):\n    return 0.5")
    outcomes = []
    for judge in (monty.judge, cpython.run):
        assert right.verdicts(judge(right.trial)) == PASSED
        outcomes.append([verdict.outcome for verdict in wrong.verdicts(judge(wrong.trial))])
    assert outcomes[0] == outcomes[1]
    assert "failed" in outcomes[0]


def test_what_monty_lacks_is_an_error(monty: MontyRunner) -> None:
    missing = Verdict("error", "ModuleNotFoundError: No module named 'heapq'")
    assert BEYOND.verdicts(monty.judge(BEYOND.trial)) == (missing, *[Verdict("not-run")] * 2)
    assert BEYOND.verdicts(cpython.run(BEYOND.trial)) == PASSED
