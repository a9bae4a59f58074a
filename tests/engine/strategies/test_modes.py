"""``adaptive`` in two modes: which one it draws, what a failure teaches, and that nothing else decides."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from believing import Believing
from event_logs import logs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import execute

from adascale.engine.answers.result import Standing
from adascale.engine.ports import Prefix
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import AnswerFound, AnswersJudged, BranchStarted, Event
from adascale.engine.search.judging_order import Turns
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.search.tree import Tree
from adascale.engine.search.waiting import Draws
from adascale.engine.strategies import Adaptive, Expand, Margin, Strategy
from adascale.engine.types import ROOT, Mode, Problem, Step
from bench.scripted import ScriptedExecutor, ScriptedPolicy, ScriptedPRM, scripted_step

PROBLEM = Problem("p", "?", "18")
BOTH = Adaptive(samples=12, modes=("prose", "program"))
Rates = Mapping[Mode, float]


def world(rates: Rates) -> Any:
    """18 at the rate of its mode, else a mistake; a program's mistake may be that it fails."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        right = rng.random() < rates[prefix.mode]
        if prefix.mode == "program":
            return scripted_step(f"```python\nprint({18 if right else '1 / 0'})\n```", "stop")
        if len(prefix.steps) < rng.randint(0, 2):
            return scripted_step(rng.choice(["add\n\n", "multiply by it\n\n"]))
        return scripted_step(f"Answer: {18 if right else rng.randint(100, 10**6)}.", "stop")

    return script


def search(
    rates: Rates,
    believed: Rates | None = None,
    *,
    strategy: Strategy = BOTH,
    seed: int = 0,
    slots: int = 8,
    costs: Sequence[float] = (),
    asked: Sequence[Problem] = (PROBLEM,),
    hurry: bool | None = None,
    calibrator: Believing | None = None,
) -> dict[str, list[Event]]:
    expected = believed or rates
    driver = Driver(
        ScriptedPolicy(world(rates), slots),
        ScriptedPRM(lambda prefix: expected[prefix.mode]),
        {"value": calibrator or Believing(expected)},
        lambda: 0.0,
        costs,
        ScriptedExecutor(execute),
    )
    return logs_of(driver.run(asked, Settings(strategy, seed=seed, hurry=hurry)))


def judged(log: list[Event]) -> list[Mode]:
    """The modes of the trajectories that counted, in order."""
    tree = Record.of(log).tree
    return [tree[event.node].mode for event in log if isinstance(event, AnswerFound)]


def counts(rates: Rates, believed: Rates | None = None, **options: Any) -> Counter[Mode]:
    logs = (search(rates, believed, seed=seed, **options)["p"] for seed in range(20))
    return Counter(mode for log in logs for mode in judged(log))


def test_the_mode_that_is_likelier_right_is_drawn_more() -> None:
    programs, prose = ({"prose": 0.2, "program": 0.7}, {"prose": 0.7, "program": 0.05})
    drawn = counts(programs)
    assert drawn["program"] > 2 * drawn["prose"]
    drawn = counts(prose)
    assert drawn["prose"] > 2 * drawn["program"]


@given(st.integers(0, 10_000), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
@settings(max_examples=25, deadline=None)
def test_a_first_solution_of_each_mode_run_side_by_side(seed: int, prose: float, program: float) -> None:
    log = search({"prose": prose, "program": program}, seed=seed)["p"]
    kinds = [event for event in log if isinstance(event, BranchStarted | AnswersJudged)]
    # What was known before anything was drawn is judged first.
    assert [type(event) for event in kinds[:3]] == [AnswersJudged, BranchStarted, BranchStarted]
    assert set(judged(log)[:2]) == {"prose", "program"}


def test_no_more_run_ahead_than_may_be_judged() -> None:
    strategy = Margin(samples=4, lead=4, modes=("prose", "program"))
    log = search({"prose": 0.0, "program": 0.0}, strategy=strategy, costs=(1.0,) * 8, hurry=True)["p"]
    assert len(judged(log)) == sum(isinstance(event, BranchStarted) for event in log) == 4


def queue_of(gains: Mapping[Mode, float]) -> list[Mode]:
    """Modes of the waiting draws in the order in which they would run ahead."""
    tree = Tree(PROBLEM)
    tree.standing = Standing(None, None, 0, 0, 0, 0, gain=max(gains.values()), reach=0.9, gains=gains)
    draws, turns, samples = Draws(), Turns(tree, BOTH), 12
    for mode in BOTH.modes:
        asked = draws.queue(Expand(ROOT, samples, "answer", sure=2, mode=mode))
        turns.await_in_order([draw.trajectory for draw in asked], sure=2)
    in_order = sorted(draws.waiting, key=turns.place)
    assert [turns.place(draw) for draw in in_order] == list(range(2 * samples))
    return [draw.asked.mode for draw in in_order[:samples]]


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ({"prose": 0.1, "program": 0.4}, "program prose program program prose program"),
        ({"prose": 0.4, "program": 0.4}, "prose program prose program prose program"),
        ({"prose": 0.3, "program": -0.1}, "prose program prose prose program prose"),
        ({"prose": -0.2, "program": -0.1}, "prose program prose program prose program"),
    ],
)
def test_the_mode_that_gains_more_has_more_turns_and_the_other_a_third(
    gains: Mapping[Mode, float], expected: str
) -> None:
    assert queue_of(gains)[:6] == expected.split()
