"""Drawing what a store lacks, and scoring what it holds, a question at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import ScriptedPRM, ticking
from worlds import ReadingPolicy, problems, solve

from adascale.engine.errors import AdascaleError, ContextOverflowError, ModelCorruptError
from adascale.engine.ports import Prefix, PrefixWork, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.types import Mode, Problem
from adascale.models.calibration.rollouts import (
    DrawPlan,
    FinishedQuestion,
    Rollouts,
    RolloutStore,
    draw_rollouts,
    score_rollouts,
)

ASKED = problems(12)
PLAN = DrawPlan(samples=4, seed=0, programs=0)


class Counting(ReadingPolicy):
    """Counts prompts, and refuses one of them."""

    opened = 0

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        self.opened += 1
        if problem.question == "too long":
            raise ContextOverflowError("the question is too long")
        return super().open(problem, mode)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RolloutStore]:
    with closing(RolloutStore(tmp_path / "rollouts.jsonl")) as opened:
        yield opened


def written(rollouts: Rollouts) -> int:
    return sum(len(node.token_ids) for node in rollouts.nodes)


def driver_of(policy: ReadingPolicy) -> Driver:
    return Driver(policy, SequenceLogprob(), {}, ticking())


def test_each_question_is_kept_before_it_is_reported_and_drawn_once(store: RolloutStore) -> None:
    policy = Counting(solve)
    found = []
    for done in draw_rollouts(driver_of(policy), ASKED, store, PLAN):
        assert store.holds(done.problem)
        kept = store.get(done.problem)
        assert kept is not None
        assert done == FinishedQuestion(done.problem, written(kept), done.spent)
        found.append(done)
    assert all(map(store.holds, ASKED))
    assert policy.opened == len(ASKED)
    # The first to finish is not alone in the batch; in the end all that was spent belongs to somebody.
    assert found[0].spent > found[0].tokens
    assert found[-1].spent == sum(done.tokens for done in found)
    assert list(draw_rollouts(driver_of(policy), ASKED, store, PLAN)) == []
    assert policy.opened == len(ASKED)


def test_what_was_not_finished_is_not_kept_and_drawn_later(store: RolloutStore) -> None:
    driver = driver_of(Counting(solve))
    for number, _ in enumerate(draw_rollouts(driver, ASKED, store, PLAN)):
        if number == 4:
            driver.interrupt()
    held = [problem.id for problem in ASKED if store.holds(problem)]
    assert 5 <= len(held) < len(ASKED)
    again = [done.problem.id for done in draw_rollouts(driver_of(Counting(solve)), ASKED, store, PLAN)]
    assert sorted(held + again) == sorted(problem.id for problem in ASKED)


def test_a_question_that_cannot_be_searched_is_told_and_left_out(store: RolloutStore) -> None:
    bad = Problem("bad", "too long", "18")
    found = list(draw_rollouts(driver_of(Counting(solve)), [*ASKED[:2], bad, *ASKED[2:4]], store, PLAN))
    assert [done.problem for done in found if done.error] == [bad]
    assert "too long" in next(done.error for done in found if done.error)
    assert not store.holds(bad)
    assert sum(map(store.holds, ASKED)) == 4


def test_every_prefix_is_scored_once_by_its_text(store: RolloutStore) -> None:
    list(draw_rollouts(driver_of(Counting(solve)), ASKED[:5], store, PLAN))
    closed: list[str] = []

    class Judge(ScriptedPRM):
        def close_problem(self, problem: Problem) -> None:
            closed.append(problem.id)

    def reward(prefix: Prefix) -> float:
        return len("".join(step.text for step in prefix.steps)) / 1000

    done = list(score_rollouts(Judge(reward), ASKED, store, "judge"))
    assert [d.problem.id for d in done] == closed == [p.id for p in ASKED[:5]]
    for problem, told in zip(ASKED, done, strict=False):
        kept: Any = store.get(problem)
        rewards = store.rewards(problem, "judge")
        assert rewards is not None
        lengths = [
            sum(len(kept.nodes[at].token_ids) for at in kept.path(row)) / 1000
            for row in range(len(kept.nodes))
        ]
        assert rewards == pytest.approx(np.array(lengths))
        assert told.tokens == written(kept)
    assert len(list(score_rollouts(Judge(reward), ASKED, store, "another"))) == 5


@pytest.mark.parametrize("error", [ContextOverflowError("too long"), ModelCorruptError("cannot be spelled")])
def test_a_question_that_a_prm_cannot_read_is_told_and_has_no_rewards(
    store: RolloutStore, error: AdascaleError
) -> None:
    list(draw_rollouts(driver_of(Counting(solve)), ASKED[:3], store, PLAN))

    def reward(prefix: Prefix) -> float:
        if prefix.problem == ASKED[1]:
            raise error
        return 0.5

    done = list(score_rollouts(ScriptedPRM(reward), ASKED[:3], store, "judge"))
    assert [bool(d.error) for d in done] == [False, True, False]
    assert [store.rewards(p, "judge") is None for p in ASKED[:3]] == [False, True, False]
