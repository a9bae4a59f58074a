"""The evaluation's figures against ones computed by hand."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import cast

import pytest

from adascale.engine.evaluation.compare import Comparison
from adascale.engine.evaluation.evaluate import Contestant, Outcome, evaluate
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.request import Request
from adascale.engine.search.driver import Driver
from adascale.engine.strategies import Adaptive, Vote
from adascale.engine.types import Estimate, Problem, Step, Usage
from bench.scripted import ScriptedPolicy, scripted_step

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
    assert (wide.name, wide.strategy, wide.settings) == ("vote:4", "vote", {"samples": 4})
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


def test_repeats_are_averaged_within_a_question_before_questions_are_resampled() -> None:
    found = Comparison([WIDE], ["a", "b"])
    for repeat, right in ((0, True), (1, False)):
        for problem in ("a", "b"):
            found.add(outcome("vote:4", problem, right, 1, 4, 100 + 200 * repeat, 0.5))
    [strategy] = found.report().strategies
    assert strategy.accuracy == 0.5
    assert strategy.accuracy_ci == (0.5, 0.5)
    assert strategy.generated_tokens == 200
    assert strategy.repeats == 2


def script(prefix: Prefix, rng: random.Random) -> Step:
    return scripted_step(rng.choice(["Answer: 18.", "Answer: 20.", "hm"]), "stop", -rng.random())


def test_an_interrupted_evaluation_ends() -> None:
    problems = [Problem(f"q{i}", "?", "18") for i in range(40)]
    driver = Driver(ScriptedPolicy(script), SequenceLogprob(), {}, lambda: 0.0)
    outcomes = evaluate(driver, [WIDE, LEAN], problems, 1, seed=3)
    first = next(outcomes)
    assert first.entry == "vote:4"
    driver.interrupt()
    rest = list(outcomes)
    assert len(rest) < 40
    assert all(outcome.stop_reason != "interrupted" for outcome in rest)


@pytest.mark.parametrize(
    ("contestant", "expected"),
    [
        (
            Contestant("adaptive", Adaptive(4), is_auto=True),
            [("program", "prose"), ("prose",), ("call", "prose")],
        ),
        (Contestant("adaptive/prose", Adaptive(4)), [("prose",), ("prose",), ("call", "prose")]),
        (Contestant("vote:4", Vote(4), is_auto=True), [("prose",), ("prose",), ("call",)]),
    ],
)
def test_modes_are_those_of_a_question_unless_named(contestant: Contestant, expected: list[object]) -> None:
    asked: list[object] = []

    class Asked:
        def serve(self, requests: Iterable[Request], at_once: int) -> Iterator[object]:
            asked.extend(each.settings.strategy.modes for each in requests)
            yield from ()

    problems = [
        Problem("value", "2 + 2?"),
        Problem("choice", "Which?", kind="choice", details={"choices": ["a", "b"]}),
        Problem("call", "Call.", kind="call"),
    ]
    driver = cast(Driver, Asked())
    assert not list(evaluate(driver, [contestant], problems, 1, 0, modes=("program", "prose")))
    assert asked == expected
