"""Searches whose trajectories think first: what is read, scored, run and recorded of a thought."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from scripted import ScriptedPolicy, ended, log_of, scripted_step, sized, usage_of

from adascale.codetasks.reading import read_task
from adascale.engine.kinds import NO_PROGRAM
from adascale.engine.ports import Prefix
from adascale.engine.search.events import (
    Event,
    Warned,
)
from adascale.engine.search.record import replay
from adascale.engine.strategies import STRATEGIES, Adaptive, Passing, Strategy, Vote
from adascale.engine.types import ROOT, Execution, Problem, Step, ThoughtPart

PROBLEM = Problem("p", "What are seven eights?")
SQUARE = read_task({"tests": "assert f(2) == 4"}).problem("square", "Square n.")
FIRST = "<think>\nIs 7 * 8 = 54? The answer is 54.\n\n"


def thought(text: str, part: ThoughtPart) -> Step:
    return replace(scripted_step(text), thought=part)


def script(end: ThoughtPart) -> ScriptedPolicy:
    """A thought of two steps with a wrong sum and a wrong answer in it, then a solution or a program."""

    def draw(prefix: Prefix, rng: random.Random) -> Step:
        match len(prefix.steps):
            case 0:
                return thought(FIRST, "part")
            case 1:
                return thought("No.\n</think>", end)
            case _ if prefix.mode != "prose":
                return scripted_step("```python\nprint(56)\n```", "stop")
            case _:
                return scripted_step("7 * 8 is \\boxed{56}.", "stop")

    return ScriptedPolicy(draw)


def search(
    strategy: Strategy,
    end: ThoughtPart = "whole",
    problem: Problem = PROBLEM,
    policy: ScriptedPolicy | None = None,
) -> list[Event]:
    ran: list[str] = []
    run = lambda program: ran.append(program) or Execution("56", "", 0.0)  # noqa: E731
    events = log_of(policy or script(end), strategy, problem, execute=run)
    assert all("print(56)" in program for program in ran)
    return events


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_every_strategy_comes_to_its_end_with_thoughts(strategy: str) -> None:
    plan = sized(strategy, samples=4, beams=2, branching=2)
    log = search(plan, problem=SQUARE if "code" in plan.modes else PROBLEM)
    tree, last = replay(log), ended(log)
    assert (last.result.answer == "56") == ("code" not in plan.modes)
    assert usage_of(tree) == last.usage
    assert all(node.step is None or node.status != "open" or tree.children(node.id) for node in tree)


def test_the_solution_is_what_stands_behind_its_thoughts() -> None:
    log = search(Vote(1))
    tree, best = replay(log), ended(log).result.best
    assert best is not None
    assert tree.text(best) == "7 * 8 is \\boxed{56}."
    assert "".join(step.text for step in tree.thoughts(best)).startswith("<think>")
    assert tree.text(ROOT) == ""
    assert all(not node.step.wrong_sums for node in tree if node.step)


@pytest.mark.parametrize(
    "strategy", [Vote(2, modes=("program",)), Adaptive(2, modes=("prose", "program")), Passing(2)]
)
def test_a_thought_that_never_ends_is_a_program_that_failed(strategy: Strategy) -> None:
    def draw(prefix: Prefix, rng: random.Random) -> Step:
        if prefix.mode == "prose":
            return scripted_step("It is \\boxed{56}.", "stop")
        # Code in a thought is no program of the solution.
        return replace(scripted_step("<think>\n```python\nprint(54)\n```\n", "length"), thought="part")

    problem = SQUARE if "code" in strategy.modes else PROBLEM
    log = search(strategy, problem=problem, policy=ScriptedPolicy(draw))
    programs = [node for node in replay(log) if node.mode != "prose" and node.step]
    assert ended(log).result.answer == ("56" if "prose" in strategy.modes else None)
    assert programs
    assert all(node.execution and node.execution.error == NO_PROGRAM.error for node in programs)


@pytest.mark.parametrize(("end", "warnings"), [("whole", 0), ("cut", 1)])
def test_a_thought_that_reached_its_budget_is_warned_of_once(end: ThoughtPart, warnings: int) -> None:
    found = [event.notice.code for event in search(Vote(3), end) if isinstance(event, Warned)]
    assert found == ["thought-cut"] * warnings
