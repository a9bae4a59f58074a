"""Reference solutions pass their tests in both interpreters; what the sandboxed one lacks is an error.

Tasks of MBPP (Austin et al., "Program Synthesis with Large Language Models", arXiv 2108.07732; Google,
CC-BY-4.0), with references as EvalPlus has them (Liu et al., arXiv 2305.01210; Apache-2.0), three tests each.
All of them: ``python -m bench.evidence.executors``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cpython
import pytest

from adascale.codetasks.asserts import read_tests
from adascale.codetasks.harness import Harness
from adascale.codetasks.task import suite_of
from adascale.engine.execution import Verdict
from adascale.models.programs.monty import MontyRunner


def harness_of(program: str, sources: list[str], setup: str = "") -> Harness:
    return Harness(
        program, suite_of([test for source in sources for test in read_tests(source, setup=setup)])
    )


def read_references() -> dict[str, Harness]:
    lines = Path(__file__).with_name("references.jsonl").read_text(encoding="utf-8").splitlines()
    tasks = [json.loads(line) for line in lines]
    return {
        task["id"]: harness_of(task["solution"], task["tests"], "\n".join(task["imports"])) for task in tasks
    }


REFERENCES = read_references()
BEYOND = REFERENCES.pop("mbpp-585")
"""Needs a module that the sandboxed interpreter lacks."""


@pytest.fixture(scope="module")
def monty() -> Iterator[MontyRunner]:
    with MontyRunner() as runner:
        yield runner


def in_monty(runner: MontyRunner, harness: Harness) -> tuple[Verdict, ...]:
    return harness.verdicts(runner.judge(harness.trial))


def in_cpython(harness: Harness) -> tuple[Verdict, ...]:
    return harness.verdicts(cpython.run(harness.trial))


@pytest.mark.parametrize("task", REFERENCES)
def test_a_reference_passes_in_both(monty: MontyRunner, task: str) -> None:
    assert in_monty(monty, REFERENCES[task]) == (Verdict("passed"),) * 3
    assert in_cpython(REFERENCES[task]) == (Verdict("passed"),) * 3


@pytest.mark.parametrize("task", REFERENCES)
def test_another_program_does_not_pass(monty: MontyRunner, task: str) -> None:
    reference = REFERENCES[task]
    wrong = replace(reference, program=f"def {reference.suite.entry_point}(*args):\n    return 0.5")
    judged = in_cpython(wrong)
    assert [each.outcome for each in in_monty(monty, wrong)] == [each.outcome for each in judged]
    assert "failed" in {each.outcome for each in judged}


def test_what_the_sandboxed_interpreter_lacks_is_an_error(monty: MontyRunner) -> None:
    missing = Verdict("error", "ModuleNotFoundError: No module named 'heapq'")
    assert in_monty(monty, BEYOND) == (missing, Verdict("not-run"), Verdict("not-run"))
    assert in_cpython(BEYOND) == (Verdict("passed"),) * 3


def test_a_program_that_never_ends_is_cut_at_its_test(monty: MontyRunner) -> None:
    program = "def f(n):\n    while n > 1:\n        pass\n    return n"
    harness = harness_of(program, ["assert f(1) == 1", "assert f(2) == 2", "assert f(0) == 0"])
    assert in_monty(monty, harness) == (Verdict("passed"), Verdict("time-limit"), Verdict("not-run"))
