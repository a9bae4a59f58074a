"""Draws that nobody has asked for yet fill the rows that idle, and change nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adascale.engine.errors import ContextOverflowError
from adascale.engine.evaluation.evaluate import Contestant, Forecast, Outcome, evaluate
from adascale.engine.ports import Prefix, PrefixWork, SequenceLogprob, Uncalibrated
from adascale.engine.scripted import ScriptedPolicy, scripted_step
from adascale.engine.search.driver import Driver
from adascale.engine.strategies import Adaptive, Vote
from adascale.engine.types import BranchId, Mode, Problem, Step, Until
from adascale.models.draws import drawing
from adascale.models.draws.drawing import DrawMaker, DrawRequest
from adascale.models.draws.playback import ReplayingPolicy
from adascale.models.draws.store import DrawStore

PROBLEMS = [Problem(f"q{i}", f"What is {i} * 2?", "18") for i in range(40)]
ENTRIES = [
    Contestant("vote:4", Vote(4)),
    Contestant("adaptive", Adaptive()),
]
ROWS = 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DrawStore]:
    with closing(DrawStore(tmp_path / "draws.sqlite")) as opened:
        yield opened


def solution(prefix: Prefix, rng: random.Random) -> Step:
    """40 to 400 tokens; on most questions two agree soon, on one in eight hardly ever."""
    hard = int(prefix.problem.id[1:]) % 8 == 0
    answer = "18" if rng.random() < (0.2 if hard else 0.8) else str(rng.randrange(19, 99))
    return scripted_step("x" * int(40 + rng.expovariate(1 / 80)) + f" The answer is {answer}.", "stop")


def evaluated(store: DrawStore, *, ahead: bool) -> tuple[list[Outcome], ScriptedPolicy]:
    live = ScriptedPolicy(solution, ROWS)
    policy = ReplayingPolicy(live, store, lambda branches: 1.0)
    driver = Driver(policy, SequenceLogprob(), Uncalibrated(), lambda: 0.0)
    expect = [policy.expect] if ahead else []
    return list(evaluate(driver, ENTRIES, PROBLEMS, 1, 0, *expect)), live


def test_an_evaluation_takes_fewer_batches_and_says_the_same(store: DrawStore, tmp_path: Path) -> None:
    with closing(DrawStore(tmp_path / "plain.sqlite")) as plain:
        expected, before = evaluated(plain, ahead=False)
    outcomes, after = evaluated(store, ahead=True)

    assert sorted(outcomes, key=repr) == sorted(expected, key=repr)
    assert before.batches > 1.5 * after.batches


def test_what_a_search_waits_for_comes_before_what_is_likely(store: DrawStore) -> None:
    live = ScriptedPolicy(solution, 2)
    maker = DrawMaker(live, store)
    maker.expect([Forecast(PROBLEMS[:1], 8, 0)])
    maker.open(PROBLEMS[0], "prose")
    first, second = (DrawRequest(Prefix(PROBLEMS[0]), seed, "answer", False) for seed in (1, 2))
    maker.want(first)
    maker.advance()
    assert len(live._running) == 2

    maker.want(second)
    while first.key not in store or second.key not in store:
        maker.advance()

    # Each was written from the batch in which it was asked for.
    written = [sum(len(step.token_ids) for step in store.get(r.key, "answer") or ()) for r in (first, second)]
    assert live.batches == max(written[0], 1 + written[1])


def test_nothing_is_written_that_no_search_waits_for(store: DrawStore) -> None:
    live = ScriptedPolicy(solution, 2)
    maker = DrawMaker(live, store)
    maker.expect([Forecast(PROBLEMS, 8, 0)])

    maker.advance()

    assert live.batches == 0


def test_few_prompts_are_kept_open(store: DrawStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MOST_OPEN", 3)
    live = ScriptedPolicy(solution, 8)
    maker = DrawMaker(live, store)
    maker.expect([Forecast(PROBLEMS, 2, 0), Forecast(PROBLEMS, 4, 0)])
    maker.open(PROBLEMS[0], "prose")
    maker.want(DrawRequest(Prefix(PROBLEMS[0]), 1, "answer", False))

    maker.advance()

    assert len({running.prefix.problem.id for running in live._running.values()}) == 3
    assert len(live._running) == 8


@dataclass(slots=True)
class Windowed(ScriptedPolicy):
    """Reads no question that is longer than its window, and draws only from those that it has read."""

    window: int = 40
    read: set[str] = field(default_factory=set)

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        if len(problem.question) > self.window:
            raise ContextOverflowError("the question is too long", hint="a shorter question")
        self.read.add(problem.id)
        return ScriptedPolicy.open(self, problem, mode)

    def start(self, branch: BranchId, prefix: Prefix, seed: int, until: Until, greedy: bool) -> None:
        assert prefix.problem.id in self.read, "its prompt was not read"
        ScriptedPolicy.start(self, branch, prefix, seed, until, greedy)


@pytest.mark.parametrize("place", [0, 20, 40])
def test_a_question_that_does_not_fit_fails_alone(store: DrawStore, place: int) -> None:
    policy = ReplayingPolicy(Windowed(solution, ROWS), store, lambda branches: 1.0)
    driver = Driver(policy, SequenceLogprob(), Uncalibrated(), lambda: 0.0)
    problems = [*PROBLEMS[:place], Problem("q99", "x" * 50, "18"), *PROBLEMS[place:]]

    outcomes = list(evaluate(driver, ENTRIES, problems, 1, 0, policy.expect))

    assert len(outcomes) == len(ENTRIES) * len(problems)
    assert {each.problem for each in outcomes if each.stop_reason is None} == {"q99"}
