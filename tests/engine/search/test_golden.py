"""Whole searches, event by event, as they went before; ``pytest --update-golden`` accepts a change.

Three of them have every event: votes of programs and prose, a tree that is cut, and a task with tests.
"""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import cpython
import pytest
from scripted import ScriptedExecutor, ScriptedPolicy, scripted_step

from adascale.codetasks.reading import read_task
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import to_json
from adascale.engine.strategies import Adaptive, Beam, Passing
from adascale.engine.types import Budget, Execution, Problem, Schedule, Step, Trial

GOLDEN = Path(__file__).parents[2] / "golden"
SEARCHES = {
    "adaptive": Adaptive(3, modes=("program", "prose")),
    "beam": Beam(2, 2),
    "passing": Passing(3),
}
PROBLEM = Problem("janet", "How much does she make?", "18")
SQUARE = read_task({"tests": ["assert f(2) == 4", "assert f(3) == 9"]}).problem("square", "Write f(n).")


def script(prefix: Prefix, rng: random.Random) -> Step:
    if prefix.mode == "code":
        value = rng.choice(["n * n", "4", "n * n", "4"])
        return scripted_step(f"```python\ndef f(n):\n    return {value}\n```", "stop")
    if prefix.mode == "program":
        return scripted_step(
            rng.choice(["```python\nprint(18)\n```", "```python\nprint(20)\n```"]), "stop", -2.5
        )
    if len(prefix.steps) == 2:
        return scripted_step(
            rng.choice(["So \\boxed{18}.", "So \\boxed{18}.", "So \\boxed{20}."]), "stop", -0.5
        )
    return scripted_step(rng.choice(["She eats 3.\n\n", "She bakes 4.\n\n"]), "step", -rng.randint(1, 8) / 4)


def execute(source: str | Trial) -> Execution:
    if isinstance(source, Trial):
        return replace(cpython.run(source), seconds=0.0)
    return Execution(source[6:8], "", 0.0)


def lines(strategy: str) -> list[str]:
    ticks = itertools.count()
    executor = ScriptedExecutor(execute)
    policy = ScriptedPolicy(script, 4)
    clock = lambda: next(ticks) / 64  # noqa: E731
    driver = Driver(policy, SequenceLogprob(), {}, clock, executor=executor)
    settings = Settings(SEARCHES[strategy], Budget(400), seed=11, schedule=Schedule.even(2))
    problem = SQUARE if strategy == "passing" else PROBLEM
    return [json.dumps(to_json(event)) for _, event in driver.run([problem], settings)]


@pytest.mark.parametrize("strategy", SEARCHES)
def test_a_search_goes_as_it_went_before(strategy: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{strategy}.jsonl"
    found = lines(strategy)
    if request.config.getoption("--update-golden"):
        path.write_text("\n".join(found) + "\n")
    assert found == path.read_text().splitlines()
