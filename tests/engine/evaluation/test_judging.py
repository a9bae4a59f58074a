"""Code tasks in an evaluation: hidden tests judge, and no search sees them."""

from __future__ import annotations

import functools
import random
from dataclasses import replace

import cpython
from scripted import ScriptedExecutor, ticking

from adascale.codetasks.reading import read_task
from adascale.engine.evaluation.evaluate import Outcome, evaluate, for_kind, parse_contestants
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.types import Execution, Step, Trial
from bench.scripted import ScriptedPolicy, scripted_step

TASK = read_task("", {"tests": "assert f(2) == 4", "hidden": ["assert f(3) == 9", "assert f(0) == 0"]})
SQUARE = TASK.problem("square", "Square n.")
BODIES = ["return n + 7", "return n + n", "return n * n", "return n ** 2"]


class Runner:
    """Runs programs, and counts them."""

    def __init__(self) -> None:
        self.ran: list[Trial] = []

    def __call__(self, source: Trial) -> Execution:
        self.ran.append(source)
        return replace(cpython.run(source), seconds=0.1)


def outcomes(names: str, bodies: list[str], judge: Runner) -> list[Outcome]:
    written = iter(bodies)
    shown = Runner()

    def script(prefix: Prefix, rng: random.Random) -> Step:
        return scripted_step(f"```python\ndef f(n):\n    {next(written)}\n```", "stop")

    driver = Driver(
        ScriptedPolicy(script, 1),
        SequenceLogprob(),
        {},
        ticking(),
        executor=ScriptedExecutor(shown),
    )
    contestants = for_kind(parse_contestants(names), "code")
    result = list(evaluate(driver, contestants, [SQUARE], 1, 0, functools.cache(judge), width=1))
    assert not any("f(3)" in source.tests for source in shown.ran)
    return result


def test_a_program_is_right_where_it_passes_the_hidden_tests() -> None:
    judge = Runner()
    [greedy, passing] = outcomes("greedy,passing:3", [BODIES[2], BODIES[0], BODIES[1]], judge)
    assert (greedy.right, greedy.found, greedy.finished) == (True, 1, 1)
    # The second program passes the given test and is no square: what passes is not yet right.
    assert (passing.right, passing.found, passing.finished) == (False, 0, 2)


def test_each_program_is_judged_once() -> None:
    judge = Runner()
    [four] = outcomes("vote:4", [BODIES[1], BODIES[2], BODIES[2], BODIES[3]], judge)
    assert len(judge.ran) == 3
    assert four.found == 3
