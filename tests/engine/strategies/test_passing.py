"""Code tasks: programs are drawn until one passes the given tests, and no hidden test is ever seen."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import cpython
import pytest
from scripted import Fitted, ended, log_of, scripted_step

from adascale.codetasks.reading import read_task
from adascale.codetasks.task import CodeTask
from adascale.engine.ports import Prefix
from adascale.engine.search.events import Event, to_json
from adascale.engine.search.record import Record, replay
from adascale.engine.strategies import Passing, Strategy, Vote
from adascale.engine.strategies.beam import chance_of_success
from adascale.engine.types import Estimate, Execution, Problem, Step, Trial

WRONG, HALF, RIGHT = "return n + 7", "return n + n", "return n * n"
TASK = read_task({"tests": ["assert f(2) == 4", "assert f(3) == 9"], "hidden": "assert f(-5) == 25"})
SQUARE = TASK.problem("square", "Write f(n).")


class Bench:
    """Searches of width 1 whose programs are given in order; keeps what is run."""

    def __init__(self, bodies: Sequence[str], estimate: float | None = None) -> None:
        self.ran: list[Trial] = []
        self._bodies = iter(bodies)
        self._estimate = estimate

    def script(self, prefix: Prefix, rng: random.Random) -> Step:
        body = next(self._bodies)
        text = f"```python\ndef f(n):\n    {body}\n```" if body else "I cannot."
        return scripted_step(text, "stop")

    def execute(self, source: Trial) -> Execution:
        self.ran.append(source)
        return replace(cpython.run(source), seconds=0.0)

    def search(self, problem: Problem, strategy: Strategy) -> list[Event]:
        judge = None if self._estimate is None else _Estimating(self._estimate)
        return log_of(self.script, strategy, problem, judge=judge, execute=self.execute, width=1)


class _Estimating(Fitted):
    """A calibration that knows the question of a code task."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self._p = p

    def question(self, prefix: Prefix) -> Estimate:
        return Estimate(self._p, self._p, self._p, calibrated=True)


def outcomes(log: Sequence[Event]) -> list[str | None]:
    return [candidate.answer for candidate in Record.of(log).candidates]


def test_the_first_program_that_passes_ends_the_search() -> None:
    bench = Bench([WRONG, HALF, RIGHT, WRONG])
    log = bench.search(SQUARE, Passing())
    assert outcomes(log) == ["0/2", "1/2", "2/2"]
    result = ended(log).result
    assert (result.answer, result.stop_reason) == ("2/2", "confident")
    assert result.best is not None
    execution = replay(log)[result.best].execution
    assert execution is not None
    assert execution.program == f"def f(n):\n    {RIGHT}"


def test_where_none_passes_the_one_that_passes_most_is_shown() -> None:
    log = Bench([WRONG, "", HALF, WRONG]).search(SQUARE, Passing(samples=4))
    assert outcomes(log) == ["0/2", None, "1/2", "0/2"]
    assert (ended(log).result.answer, ended(log).result.stop_reason) == ("1/2", "exhausted")


def test_it_gives_up_where_no_further_program_is_likely_to_pass() -> None:
    log = Bench([WRONG, HALF, RIGHT], estimate=0.001).search(SQUARE, Passing(samples=8, hopeless=0.1))
    assert (outcomes(log), ended(log).result.stop_reason) == (["0/2"], "hopeless")
    log = Bench([WRONG, HALF, RIGHT], estimate=0.3).search(SQUARE, Passing(samples=8, hopeless=0.1))
    assert (outcomes(log)[-1], ended(log).result.stop_reason) == ("2/2", "confident")


def test_hidden_tests_reach_neither_the_search_nor_its_log() -> None:
    seen: list[Problem] = []

    class Watching(Bench):
        def script(self, prefix: Prefix, rng: random.Random) -> Step:
            seen.append(prefix.problem)
            return super().script(prefix, rng)

    bench = Watching([HALF, RIGHT])
    log = bench.search(SQUARE, Passing())
    assert "-5" not in str([to_json(event) for event in log])
    assert not any("-5" in source.tests for source in bench.ran)
    assert all(CodeTask.of(problem) == CodeTask(TASK.given) for problem in seen)


def test_every_strategy_of_a_code_task_is_chosen_by_its_tests() -> None:
    log = Bench([HALF, HALF, RIGHT, HALF]).search(SQUARE, Vote(samples=4, modes=("code",)))
    assert ended(log).result.answer == "2/2"


@pytest.mark.parametrize("strength", [3, 9])
@pytest.mark.parametrize(("p", "failures", "left"), [(0.3, 0, 8), (0.4, 2, 6), (0.7, 1, 1), (0.5, 3, 0)])
def test_the_chance_of_success_is_that_of_drawn_rates(
    p: float, failures: int, left: int, strength: float
) -> None:
    rng = random.Random(0)
    rates = [rng.betavariate(strength * p, strength * (1 - p) + failures) for _ in range(20_000)]
    wanted = sum(1 - (1 - rate) ** left for rate in rates) / len(rates)
    reach = 1.2816 * (p * (1 - p) / (strength + 1)) ** 0.5
    question = Estimate(p - reach, p, p + reach, calibrated=True)
    assert chance_of_success(question, failures, left) == pytest.approx(wanted, abs=0.01)
