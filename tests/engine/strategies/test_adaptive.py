"""The adaptive strategies in worlds whose truth is known: easy, hard, hopeless, and a misjudging PRM."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from believing import Believing
from event_logs import ended
from hypothesis import given, settings
from hypothesis import strategies as st

from adascale.engine.ports import Prefix, Uncalibrated
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import (
    AnswersJudged,
    BranchStarted,
    Event,
    NodesPruned,
)
from adascale.engine.search.record import replay
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import (
    Adaptive,
    BestOfN,
    Margin,
    Strategy,
    Vote,
)
from adascale.engine.types import Problem, Step
from bench.scripted import ScriptedPolicy, ScriptedPRM, scripted_step

PROBLEM = Problem("p", "?", "18")
ADAPTIVE = Adaptive(samples=16, least=2, stop_at=0.9)
EVERYTHING = {"stop_at": 2.0, "min_gain": -1e9, "hopeless": 0.0}


def world(right: float) -> Callable[[Prefix, random.Random], Step]:
    """One step, then 18 with probability ``right``, else a wrong answer that hardly ever comes twice."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        if not prefix.steps:
            return scripted_step("add\n\n")
        answer = 18 if rng.random() < right else rng.randint(10**3, 10**9)
        return scripted_step(f"Answer: {answer}.", "stop")

    return script


def search(
    right: float,
    question: float,
    *,
    seed: int = 0,
    strategy: Strategy = ADAPTIVE,
    reward: Callable[[Prefix], float] = lambda prefix: 0.5,
    calibrators: Any = None,
    costs: Sequence[float] = (),
    script: Callable[[Prefix, random.Random], Step] | None = None,
    slots: int = 8,
) -> list[Event]:
    policy, prm = ScriptedPolicy(script or world(right), slots), ScriptedPRM(reward)
    driver = Driver(policy, prm, calibrators or {"value": Believing(question)}, lambda: 0.0, costs)
    return [event for _, event in driver.run([PROBLEM], Settings(strategy, seed=seed))]


def drawn(log: list[Event]) -> int:
    return sum(isinstance(event, BranchStarted) for event in log)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_an_easy_question_gets_little_and_a_hopeless_one_is_given_up(seed: int) -> None:
    easy = search(1.0, 0.9, seed=seed)
    hopeless = search(0.0, 0.02, seed=seed, reward=lambda prefix: 0.02)
    assert ended(easy).result.stop_reason == "confident"
    assert ended(easy).result.answer == "18"
    assert drawn(easy) <= 3
    assert ended(hopeless).result.stop_reason == "hopeless"
    assert drawn(hopeless) <= ADAPTIVE.least + 2


def test_a_hard_question_gets_more_than_both() -> None:
    def mean(right: float) -> float:
        logs = [search(right, right + 0.02, seed=seed, reward=lambda prefix: right) for seed in range(40)]
        return sum(map(drawn, logs)) / 40

    easy, hard, hopeless = mean(0.95), mean(0.4), mean(0.0)
    assert hard > 2 * easy
    assert hard > 2 * hopeless


def test_a_misjudging_prm_does_not_overrule_those_that_agree() -> None:
    """Wrong answers get .9 and right ones .4, but no two wrong ones are the same."""

    def misled(prefix: Prefix) -> float:
        return 0.4 if "18" in prefix.steps[-1].text else 0.9

    strategy = Adaptive(samples=16, **EVERYTHING)
    for seed in range(20):
        votes = search(0.6, 0.5, seed=seed, strategy=strategy, reward=misled)
        best = search(0.6, 0.5, seed=seed, strategy=BestOfN(16), reward=misled)
        assert ended(votes).result.answer == "18" != ended(best).result.answer


def test_a_trajectory_that_cannot_succeed_is_cut_and_replaced() -> None:
    def lost(prefix: Prefix) -> float:
        return 0.01 if len(prefix.steps) == 1 else 0.5

    strategy = Adaptive(samples=6, cut=0.2, **EVERYTHING)
    log = search(1.0, 0.9, strategy=strategy, reward=lost)
    cut = [event for event in log if isinstance(event, NodesPruned) and "below 0.2" in event.reason]
    assert sum(len(event.nodes) for event in cut) == 6
    assert ended(log).result.best is None
    assert all(node.status != "terminal" for node in replay(log))


def test_votes_alone_stop_at_a_posterior_of_95_percent() -> None:
    log = search(1.0, 0.0, calibrators={"value": Uncalibrated()}, strategy=Adaptive(samples=40))
    assert ended(log).result.stop_reason == "confident"
    assert drawn(log) == 4  # Beta(5, 1) above one half: 31/32; three votes give 15/16
    assert not ended(log).result.confidence.calibrated  # type: ignore[union-attr]


def test_a_question_without_a_checkable_answer_is_not_hopeless() -> None:
    def essay(prefix: Prefix, rng: random.Random) -> Step:
        return scripted_step(rng.choice(["Light scatters.", "Blue light bends."]), "stop")

    log = search(0.0, 0.01, reward=lambda prefix: 0.01, script=essay)
    assert ended(log).result.stop_reason == "exhausted"
    assert ended(log).result.best is not None
    assert drawn(log) == ADAPTIVE.least


FREE = (1.0,) * 8
"""On a machine where eight branches cost as much as one, as many as possible run ahead."""


@pytest.mark.parametrize(
    ("hurry", "costs", "questions", "started"),
    [
        (None, (), 1, 2),  # what a width costs is unknown
        (None, FREE, 1, 4),  # 4 for 2.83 that are needed
        (False, FREE, 1, 2),
        (None, FREE, 2, 4),  # those that are sure, of both
        (True, FREE, 2, 8),  # 8 for 5.67
    ],
)
def test_others_run_ahead_of_a_question_that_is_alone_or_in_a_hurry(
    hurry: bool | None, costs: Sequence[float], questions: int, started: int
) -> None:
    asked = [Problem(f"p{i}", "?") for i in range(questions)]
    strategy = Adaptive(samples=8, **EVERYTHING)
    driver = Driver(
        ScriptedPolicy(world(0.3), 8),
        ScriptedPRM(lambda prefix: 0.5),
        {"value": Believing(0.5)},
        lambda: 0.0,
        costs,
    )
    log = [event for _, event in driver.run(asked, Settings(strategy, hurry=hurry))]
    kinds = [type(event) for event in log if isinstance(event, BranchStarted | AnswersJudged)]
    assert kinds.index(AnswersJudged) == started


def slipping(at_all: float) -> Callable[[Prefix, random.Random], Step]:
    """A step, a sum that is wrong with this probability, and an answer that takes the sum as it is."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        if not prefix.steps:
            return scripted_step("There are two of them.\n\n")
        if len(prefix.steps) == 1:
            return scripted_step("9 + 9 = 17\n\n" if rng.random() < at_all else "9 + 9 = 18\n\n")
        return scripted_step("Answer: 18." if "18" in prefix.steps[1].text else "Answer: 17.", "stop")

    return script


@pytest.mark.parametrize("strategy", [Adaptive(6, **EVERYTHING), Vote(6), Margin(6, lead=6)])
@given(st.integers(0, 10_000), st.integers(1, 9), st.booleans())
@settings(max_examples=10, deadline=None)
def test_a_step_that_slips_is_drawn_again_and_it_goes_on(
    strategy: Strategy, seed: int, slots: int, free: bool
) -> None:
    def searched(at_all: float, redraws: int) -> list[Event]:
        changed = replace(strategy, redraws=redraws)
        costs, script = FREE if free else (), slipping(at_all)
        return search(0.4, 0.4, seed=seed, strategy=changed, costs=costs, script=script, slots=slots)

    for at_all, redraws in ((0.6, 50), (0.6, 0), (1.0, 2)):
        log = searched(at_all, redraws)
        assert log == searched(at_all, redraws)
        cut = [event for event in log if isinstance(event, NodesPruned)]
        assert {event.reason for event in cut} <= {"9 + 9 = 17 is wrong"}
        standing = [event.standing for event in log if isinstance(event, AnswersJudged)][-1]
        assert (standing.finished, standing.shown) == (6, 6)  # each of them ends once, whatever was cut
        answers = {group.answer: len(group.nodes) for group in ended(log).result.groups}
        assert sum(answers.values()) == 6
        if redraws == 50:
            assert answers == {"18": 6}
        elif redraws == 2:
            assert answers == {"17": 6}
            assert len(cut) == 12
        else:
            assert not cut


def test_a_slip_in_the_first_step_is_left_to_the_votes() -> None:
    def script(prefix: Prefix, rng: random.Random) -> Step:
        return scripted_step("Answer: 18.", "stop") if prefix.steps else scripted_step("9 + 9 = 17\n\n")

    log = search(0.4, 0.4, script=script)
    assert not any(isinstance(event, NodesPruned) for event in log)
    assert ended(log).result.answer == "18"
