"""A search depends on question, seed and width: not on neighbours, places, or how busy the machine is."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedExecutor, ScriptedPRM, ended, judging, logs_of, sized, ticking

from adascale.engine.codec import to_plain
from adascale.engine.ports import Growth, Prefix
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import AnswerFound, BranchStarted, Event, StepProposed
from adascale.engine.strategies import STRATEGIES, Adaptive, Strategy, Vote
from adascale.engine.types import Execution, Problem, Step
from bench.scripted import ScriptedPolicy, scripted_step

QUESTIONS = [Problem(f"q{i}", "?" * (i + 1)) for i in range(4)]
OF_VALUES = [name for name in STRATEGIES if name not in ("agreement", "readings", "weighing")]


def script(prefix: Prefix, rng: random.Random) -> Step:
    """Up to three steps of any length, some with a wrong sum, and one of three answers; or such a program."""
    if prefix.mode != "prose":
        blanks = " " * rng.randint(0, 30)
        return scripted_step(f"```python\nprint({rng.randint(1, 3)}){blanks}\n```", "stop", -rng.random())
    if len(prefix.steps) >= rng.randint(1, 3):
        return scripted_step(f"Answer: {rng.randint(1, 3)}.", "stop", -rng.random())
    text = rng.choice(["add", "multiply " * rng.randint(1, 4), "2 + 2 = 5"])
    return scripted_step(f"{text}\n\n", "step", -rng.random())


def reward(prefix: Prefix) -> float:
    return random.Random("".join(step.text for step in prefix.steps)).random()


def execute(program: str) -> Execution:
    [printed] = re.findall(r"\d+", program)
    return Execution(f"{printed}\n", "", 0.0)


@dataclass(slots=True)
class BusyPolicy(ScriptedPolicy):
    """Writes on some of its branches in each batch, as chance has it."""

    delays: random.Random = field(default_factory=random.Random)

    def advance(self) -> list[Growth]:
        """One token for each of those branches, one at least."""
        chosen = [each for each in self._running if self.delays.random() < 0.6] or list(self._running)[:1]
        return [self._grow(branch, self._running[branch]) for branch in chosen]


class BusyExecutor(ScriptedExecutor):
    """Keeps the results of programs back, as chance has it."""

    delays = random.Random(0)

    def collect(self, *, block: bool = False) -> list[tuple[int, Execution]]:
        """Those that have ended, or for now none."""
        wait = not block and self.delays.random() < 0.7
        return [] if wait else ScriptedExecutor.collect(self, block=block)


def logs(
    strategy: Strategy, width: int, seed: int, problems: Sequence[Problem], slots: int, *, busy: bool
) -> dict[str, list[Event]]:
    policy = BusyPolicy(script, slots, delays=random.Random(seed)) if busy else ScriptedPolicy(script, slots)
    executor = BusyExecutor(execute) if busy else ScriptedExecutor(execute)
    driver = Driver(policy, ScriptedPRM(reward), {"value": judging("value", 0.4)}, ticking(), executor)
    return logs_of(driver.run(problems, Settings(strategy, seed=seed, width=width)))


def facts(log: Sequence[Event]) -> list[Any]:
    """Everything that happened, without times and costs."""
    found = [to_plain(event) for event in log]
    return [{name: each[name] for name in each if name not in ("t", "usage", "seq")} for each in found]


@pytest.mark.parametrize("name", OF_VALUES)
@settings(max_examples=25)
@given(
    width=st.integers(1, 6),
    slots=st.integers(1, 9),
    seed=st.integers(0, 99),
    both=st.booleans(),
    asked=st.integers(0, 3),
)
def test_neighbours_places_and_delays_change_neither_the_tree_nor_the_answer_nor_its_probability(
    name: str, width: int, slots: int, seed: int, both: bool, asked: int
) -> None:
    strategy = sized(name, samples=6, beams=2, branching=2)
    if name in ("adaptive", "vote", "margin"):
        strategy = strategy.changed(modes=("prose", "program") if both else ("prose",), redraws=2)
    if name == "passing":
        strategy = strategy.changed(modes=("program",))
    question = QUESTIONS[asked]
    alone = logs(strategy, width, seed, [question], 64, busy=False)[question.id]
    beside = logs(strategy, width, seed, QUESTIONS, slots, busy=True)[question.id]
    assert facts(beside) == facts(alone)


def test_as_many_run_side_by_side_as_the_search_is_wide() -> None:
    log = logs(Vote(7), 3, 0, QUESTIONS[:1], 64, busy=False)["q0"]
    running, most = set(), 0
    for event in log:
        if isinstance(event, BranchStarted):
            running.add(event.branch)
        if isinstance(event, StepProposed) and event.ended:
            running.remove(event.branch)
        most = max(most, len(running))
    assert most == 3


def test_solutions_count_as_they_finish_and_those_that_run_end_with_the_search() -> None:
    def by_length(prefix: Prefix, rng: random.Random) -> Step:
        return scripted_step("so " * rng.randint(1, 50) + "Answer: 7.", "stop")

    driver = Driver(ScriptedPolicy(by_length), ScriptedPRM(reward), {}, ticking())
    [log] = logs_of(driver.run(QUESTIONS[:1], Settings(Adaptive(samples=8)))).values()
    steps = {event.node: len(event.step.token_ids) for event in log if isinstance(event, StepProposed)}
    found = [steps[event.node] for event in log if isinstance(event, AnswerFound)]
    assert found == sorted(steps.values())[:3]
    assert ended(log).result.stop_reason == "confident"
    # The others were cut when the third had finished, in the same step.
    assert sorted(steps.values())[3:] == [found[-1]] * 5
