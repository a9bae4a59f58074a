"""Rollouts: drawn and scored a question at a time, kept for good, and read as training data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import ScriptedPRM, ticking
from worlds import ReadingPolicy, drawn, measured, problems, solve

from adascale.engine.calibration.fit import HeadConfig, fit_calibration
from adascale.engine.calibration.metrics import report
from adascale.engine.calibration.posterior import sigmoid
from adascale.engine.errors import AdascaleError, ContextOverflowError, ModelCorruptError
from adascale.engine.ports import Prefix, PrefixWork, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.types import Mode, Problem
from adascale.models.calibration.artefact import Fingerprint, ProgramFingerprint
from adascale.models.calibration.rollouts import (
    DrawPlan,
    KeptRollouts,
    RolloutRun,
    Rollouts,
    RolloutStore,
)
from adascale.models.calibration.training import training_set

PLAN = DrawPlan(samples=4, seed=0, programs=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RolloutStore]:
    with closing(RolloutStore(tmp_path / "deep" / "rollouts.jsonl")) as opened:
        yield opened


def same(a: Rollouts | None, b: Rollouts) -> bool:
    assert a is not None
    states = ((a.last, b.last), (a.mean, b.mean))
    equal = all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in states)
    return equal and (a.problem, a.mode, tuple(a.nodes)) == (b.problem, b.mode, tuple(b.nodes))


def test_what_was_put_comes_back_for_good(store: RolloutStore, tmp_path: Path) -> None:
    put = drawn(problems(5))
    for rollouts in put:
        assert not store.holds(rollouts.problem)
        assert store.get(rollouts.problem) is None
        store.put(rollouts)
    [other] = drawn(problems(1), samples=3)
    store.put(other)  # what is kept stays as it is
    with closing(RolloutStore(tmp_path / "deep" / "rollouts.jsonl", read_only=True)) as again:
        for rollouts, kept in zip(put, again.every(), strict=True):
            assert same(again.get(rollouts.problem), rollouts)
            assert kept == KeptRollouts(rollouts.problem, rollouts.mode, tuple(rollouts.nodes))


def test_rollouts_that_nobody_put_are_damage(store: RolloutStore) -> None:
    [rollouts] = drawn(problems(1))
    store.put(replace(rollouts, nodes=rollouts.nodes[:-1]))
    with pytest.raises(AdascaleError, match="is damaged"):
        store.get(rollouts.problem)
    store.keep("rollouts", "other", {"nodes": 3})
    with pytest.raises(AdascaleError, match="is damaged"):
        list(store.every())


def test_a_question_with_another_answer_or_id_is_another_question(store: RolloutStore) -> None:
    first = Problem("a", "What is twice 9?", "18")
    [rollouts] = drawn([first])
    store.put(rollouts)
    assert store.holds(replace(first, meta={"line": 3}))
    assert not store.holds(replace(first, answer="19"))
    second = replace(first, id="b")
    assert store.get(second) is None
    store.put(replace(rollouts, problem=second))
    assert store.holds(first)
    assert store.holds(second)


def test_whatever_changes_a_draw_changes_the_name_of_the_store() -> None:
    fingerprint = Fingerprint("g" * 64, "", "probe", "p" * 64, {"temperature": 0.8}, 2048)
    base = PLAN.store_path(fingerprint)
    others = [
        (replace(fingerprint, generator="h" * 64), PLAN),
        (replace(fingerprint, prompt="q" * 64), PLAN),
        (replace(fingerprint, sampling={"temperature": 0.7}), PLAN),
        (replace(fingerprint, window=1024), PLAN),
        (fingerprint, replace(PLAN, samples=5)),
        (fingerprint, replace(PLAN, seed=1)),
    ]
    for prompt, temperature, count in (("p", 0.8, 2), ("p", 0.8, 3), ("q", 0.8, 3)):
        program = ProgramFingerprint(prompt * 64, {"temperature": temperature})
        others.append((replace(fingerprint, program=program), replace(PLAN, programs=count)))
    assert len({base, *(plan.store_path(each) for each, plan in others)}) == 1 + len(others)
    # A PRM reads what was drawn and changes nothing of it.
    assert PLAN.store_path(replace(fingerprint, prm="x" * 64, prm_format="judge")) == base


ASKED = problems(12)


class Counting(ReadingPolicy):
    """Counts prompts, and refuses one of them."""

    opened = 0

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        self.opened += 1
        if problem.question == "too long":
            raise ContextOverflowError("the question is too long")
        return super().open(problem, mode)


def driver_of(policy: ReadingPolicy) -> Driver:
    return Driver(policy, SequenceLogprob(), {}, ticking())


def test_each_question_is_kept_before_it_is_reported_and_drawn_once(store: RolloutStore) -> None:
    policy = Counting(solve)
    for problem, error in RolloutRun(ASKED, PLAN, store).draw(driver_of(policy)):
        assert store.holds(problem)
        assert not error
    assert all(map(store.holds, ASKED))
    assert policy.opened == len(ASKED)
    assert list(RolloutRun(ASKED, PLAN, store).draw(driver_of(policy))) == []
    assert policy.opened == len(ASKED)


def test_what_was_not_finished_is_not_kept_and_drawn_later(store: RolloutStore) -> None:
    driver = driver_of(Counting(solve))
    for number, _ in enumerate(RolloutRun(ASKED, PLAN, store).draw(driver)):
        if number == 4:
            driver.interrupt()
    held = [problem.id for problem in ASKED if store.holds(problem)]
    assert 5 <= len(held) < len(ASKED)
    again = [problem.id for problem, _ in RolloutRun(ASKED, PLAN, store).draw(driver_of(Counting(solve)))]
    assert sorted(held + again) == sorted(problem.id for problem in ASKED)


def test_a_question_that_cannot_be_searched_is_told_and_left_out(store: RolloutStore) -> None:
    bad = Problem("bad", "too long", "18")
    found = list(RolloutRun([*ASKED[:2], bad, *ASKED[2:4]], PLAN, store).draw(driver_of(Counting(solve))))
    [[problem, error]] = [each for each in found if each[1]]
    assert problem == bad
    assert "too long" in error
    assert not store.holds(bad)
    assert sum(map(store.holds, ASKED)) == 4


def test_every_prefix_is_scored_once_by_its_text(store: RolloutStore) -> None:
    list(RolloutRun(ASKED[:5], PLAN, store).draw(driver_of(Counting(solve))))
    closed: list[str] = []

    class Judge(ScriptedPRM):
        def close_problem(self, problem: Problem) -> None:
            closed.append(problem.id)

    def reward(prefix: Prefix) -> float:
        return len("".join(step.text for step in prefix.steps)) / 1000

    done = list(RolloutRun(ASKED, PLAN, store, "judge").score(Judge(reward)))
    assert [problem.id for problem, _ in done] == closed == [p.id for p in ASKED[:5]]
    for problem, _ in done:
        kept: Any = store.get(problem)
        rewards = store.rewards(problem, "judge")
        assert rewards is not None
        lengths = [
            sum(len(kept.nodes[at].token_ids) for at in kept.path(row)) / 1000
            for row in range(len(kept.nodes))
        ]
        assert rewards == pytest.approx(np.array(lengths))
    assert len(list(RolloutRun(ASKED, PLAN, store, "another").score(Judge(reward)))) == 5


def test_a_question_that_a_prm_cannot_read_is_told_and_has_no_rewards(store: RolloutStore) -> None:
    list(RolloutRun(ASKED[:3], PLAN, store).draw(driver_of(Counting(solve))))

    def reward(prefix: Prefix) -> float:
        if prefix.problem == ASKED[1]:
            raise ModelCorruptError("cannot be spelled")
        return 0.5

    done = list(RolloutRun(ASKED[:3], PLAN, store, "judge").score(ScriptedPRM(reward)))
    assert [bool(error) for _, error in done] == [False, True, False]
    assert [store.rewards(p, "judge") is None for p in ASKED[:3]] == [False, True, False]


def test_training_rows_are_all_prefixes_with_their_outcomes() -> None:
    kept = drawn(problems(6))
    training = training_set(kept)
    finished = training.stages["finished"]
    assert [(each.question, each.total) for each in training.stages["question"]] == [(i, 4) for i in range(6)]
    nodes = sum(len(r.nodes) - 1 for r in kept)
    assert nodes == len(training.stages["step"]) + len(finished)
    cut_off = 0
    for question, (sampled, rollouts) in enumerate(zip(training.samples, kept, strict=True)):
        # As in a search, a run that was cut off without an answer is no candidate.
        ends = [rollouts.nodes[row] for row in rollouts.ends_from(0)]
        ended = [bool(end.answer) or end.finish == "stop" for end in ends]
        cut_off += ended.count(False)
        rows = [sample.row for sample in sampled]
        right = [sample.right for sample in sampled]
        assert len(rows) == sum(ended)
        assert all(finished[row].independent for row in rows)
        assert sum(right) == rollouts.nodes[0].right
        assert [sample.answer == "18" for sample in sampled] == right
        assert {finished[row].question for row in rows} == {question}
    assert cut_off > 0


def test_rewards_of_a_prm_take_the_place_of_the_likelihood() -> None:
    kept = drawn(problems(3))
    rewards = [np.linspace(0.1, 0.9, len(r.nodes)).astype(np.float32) for r in kept]
    finished = training_set(kept, rewards=rewards).stages["finished"]
    expected = [
        float(rewards[i][n]) for i, r in enumerate(kept) for n, node in enumerate(r.nodes) if node.is_end
    ]
    assert sigmoid(np.array([each.observation.numbers["reward"] for each in finished])) == pytest.approx(
        expected, rel=1e-5
    )


def test_a_model_that_answers_in_one_step_can_be_fitted_and_measured() -> None:
    whole = training_set(drawn(problems(30)))
    training = replace(whole, stages={**whole.stages, "step": []})
    calibration, held_out = fit_calibration(training, HeadConfig(steps=20, folds=2), seed=0)
    new = measured(calibration, training)
    assert len(new["step"].right) == 0
    for found in (held_out, new):
        assert set(report(found)) == {"question", "finished", "answer"}
