"""The evaluation's figures against ones computed by hand."""

from __future__ import annotations

import functools
import random
from dataclasses import replace

import cpython
import pytest
from scripted import ScriptedExecutor, ScriptedPolicy, scripted_step, ticking

from adascale.codetasks.reading import read_task
from adascale.engine.errors import UsageError
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.request import SearchRequest
from adascale.engine.search.driver import Driver
from adascale.engine.strategies import (
    Adaptive,
    Beam,
    BestOfN,
    Passing,
    Vote,
    preset,
)
from adascale.engine.types import Estimate, Execution, Schedule, Step, Trial, Usage
from bench.evaluation.compare import Comparison
from bench.evaluation.evaluate import Contestant, Outcome, evaluate, for_kind, parse_contestants

WIDE = Contestant("vote:4", Vote(4))
LEAN = Contestant("adaptive", Adaptive(4))


def outcome(
    entry: str, problem: str, right: bool, found: int, finished: int, tokens: int, p: float
) -> Outcome:
    confidence = Estimate(p - 0.1, p, p + 0.1, calibrated=True)
    usage = Usage(generated_tokens=tokens, flops=2.0 * tokens + 5, seconds=tokens / 10)
    return Outcome(entry, problem, right, found, finished, confidence, "exhausted", usage)


@pytest.fixture
def evaluation() -> Comparison:
    found = Comparison([WIDE, LEAN], ["a", "b", "c", "d"])
    for problem, right, count in (("a", True, 4), ("b", True, 2), ("c", False, 1), ("d", False, 0)):
        found.add(outcome("vote:4", problem, right, count, 4, 400, 0.9))
    for problem, right, count, finished, tokens in (
        ("a", True, 2, 2, 100), ("b", True, 1, 2, 300), ("c", True, 1, 1, 100), ("d", False, 0, 2, 100),
    ):  # fmt: skip
        found.add(outcome("adaptive", problem, right, count, finished, tokens, 0.85 if right else 0.2))
    return found


def test_means_and_shares(evaluation: Comparison) -> None:
    wide, lean = evaluation.report().strategies
    assert (wide.name, wide.strategy, wide.settings["samples"]) == ("vote:4", "vote", 4)
    assert (wide.questions, wide.repeats) == (4, 1)
    assert (wide.accuracy, wide.coverage) == (0.5, 0.75)
    assert (lean.accuracy, lean.coverage) == (0.75, 0.75)
    assert (wide.generated_tokens, wide.flops, wide.seconds, wide.samples) == (400, 805, 40, 4)
    assert (lean.generated_tokens, lean.samples) == (150, 1.75)
    assert wide.ece == pytest.approx(0.4)  # .9 said, .5 right
    # Two misses of .1 and two of -.9, less their mean: four of half that size and any sign, of 3 degrees.
    assert wide.ece_floor == pytest.approx(0.5 * (4 / 3) ** 0.5 * 0.375, abs=0.03)
    low, high = wide.accuracy_ci
    assert 0.0 <= low <= 0.5 <= high <= 1.0


def test_pairs_are_differences_of_the_same_questions(evaluation: Comparison) -> None:
    [pair] = evaluation.report().pairs
    assert (pair.a, pair.b) == ("adaptive", "vote:4")
    assert pair.accuracy_diff == 0.25
    assert pair.tokens_ratio == 150 / 400
    assert pair.seconds_ratio == pytest.approx(150 / 400)
    low, high = pair.accuracy_diff_ci
    assert low == 0.0  # never worse on any question
    assert 0.25 <= high <= 1.0


def test_contestants_say_what_they_fix() -> None:
    request = SearchRequest(samples=9, beams=3, branching=5, lead=5)
    text = (
        "vote:4, vote,beam+km,beam,best-of-n:8+n,adaptive,adaptive@low,adaptive:4@high,vote@low,"
        "vote:8/program,adaptive/both,passing,passing:3,passing@low,"
        "vote:4+redraw,best-of-n:8+n+redraw,adaptive:8/both+redraw"
    )
    found = {each.name: each.strategy for each in parse_contestants(text, request)}
    assert found == {
        "vote:4": Vote(4),
        "vote": Vote(9),
        "beam+km": Beam(3, 5, adapt="km"),
        "beam": Beam(3, 5),
        "best-of-n:8+n": BestOfN(8, adapt="n"),
        "adaptive": Adaptive(9, lead=5),
        "adaptive@low": preset("value", "low"),
        "adaptive:4@high": preset("value", "high").changed(samples=4),
        "vote@low": Vote(8),
        "vote:8/program": Vote(8, modes=("program",)),
        "adaptive/both": Adaptive(9, lead=5, modes=("prose", "program")),
        "passing": Passing(9, hopeless=0.15),
        "passing:3": Passing(3, hopeless=0.15),
        "passing@low": Passing(4, hopeless=0.3),
        "vote:4+redraw": Vote(4, redraws=2),
        "best-of-n:8+n+redraw": BestOfN(8, adapt="n", redraws=2),
        "adaptive:8/both+redraw": Adaptive(8, lead=5, modes=("prose", "program"), redraws=2),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no strategy takes part"),
        ("vote:4,vote:4", "twice"),
        ("vots", "no strategy"),
        ("adaptive@hardest", 'no effort called "hardest"'),
        ("vote:x", "is not a strategy"),
        ("beam:5", "do not fit"),
        ("vote:0", "do not fit"),
        ("vote+k", "vote has no rule k"),
        ("greedy+n", "greedy has no `adapt`"),
    ],
)
def test_a_contestant_that_is_none_is_explained(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_contestants(text)
    assert said in caught.value.message


TASK = read_task({"tests": "assert f(2) == 4", "hidden": ["assert f(3) == 9", "assert f(0) == 0"]})
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
    result = list(
        evaluate(driver, contestants, [SQUARE], 1, 0, functools.cache(judge), schedule=Schedule.even(1))
    )
    assert not any("f(3)" in source.tests for source in shown.ran)
    return result


def test_a_program_is_right_where_it_passes_the_hidden_tests() -> None:
    judge = Runner()
    [greedy, passing] = outcomes("greedy,passing:3", [BODIES[2], BODIES[0], BODIES[1]], judge)
    assert (greedy.right, greedy.found, greedy.finished) == (True, 1, 1)
    # The second program passes the given test and is no square: what passes is not yet right.
    assert (passing.right, passing.found, passing.finished) == (False, 0, 2)
