"""Rollouts: drawn a question at a time, kept for good with their states, and read as training data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scripted import ScriptedPRM, log_of, ticking
from worlds import CONDITIONS, ReadingPolicy, drawn, measured, problems, searched, sloppy, solve

from adascale.engine.calibration.fit import fit_calibration
from adascale.engine.calibration.metrics import report
from adascale.engine.calibration.posterior import sigmoid
from adascale.engine.errors import AdascaleError, ContextOverflowError
from adascale.engine.ports import Prefix, PrefixWork, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.search.record import Record
from adascale.engine.types import Mode, Problem, Reading
from adascale.models.calibration.artefact import Fingerprint, ProgramFingerprint
from adascale.models.calibration.rollouts import DrawPlan, RolloutRun, RolloutStore
from adascale.models.calibration.training import counted, training_set

PLAN = DrawPlan(samples=4, seed=0, programs=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RolloutStore]:
    with closing(RolloutStore(tmp_path / "deep" / "rollouts.jsonl")) as opened:
        yield opened


def readings(record: Record) -> list[Reading]:
    steps = [node.step.reading for node in record.tree if node.step is not None]
    return [each for each in (*record.tree.readings.values(), *steps) if each is not None]


def same(a: Record | None, b: Record) -> bool:
    assert a is not None
    pairs = list(zip(readings(a), readings(b), strict=True))
    close = all(
        np.allclose(x.last, y.last, atol=2e-3) and np.allclose(x.mean, y.mean, atol=2e-3) for x, y in pairs
    )
    equal = all((x.min_logprob, x.entropy) == (y.min_logprob, y.entropy) for x, y in pairs)
    return close and equal and (a.tree, a.candidates) == (b.tree, b.candidates)


def test_what_was_put_comes_back_with_its_states(store: RolloutStore, tmp_path: Path) -> None:
    asked = problems(5)
    logs = drawn(asked, programs=2)
    for problem in asked:
        assert not store.holds(problem)
        assert store.get(problem) is None
        store.put(problem, logs[problem.id])
    with closing(RolloutStore(tmp_path / "deep" / "rollouts.jsonl", read_only=True)) as again:
        for problem, kept in zip(asked, again.every(), strict=True):
            record = Record.of(logs[problem.id])
            assert same(again.get(problem), record)
            assert (kept.tree, kept.candidates) == (record.tree, record.candidates)


def test_rollouts_that_nobody_put_are_damage(store: RolloutStore) -> None:
    [problem] = problems(1)
    store.keep("rollouts", repr((problem.id, problem.question, problem.answer)), {"nodes": 3})
    with pytest.raises(AdascaleError):
        store.get(problem)
    with pytest.raises(AdascaleError):
        list(store.every())


def test_a_question_with_another_answer_or_id_is_another_question(store: RolloutStore) -> None:
    first = Problem("a", "What is twice 9?", "18")
    store.put(first, drawn([first])["a"])
    assert store.holds(replace(first, meta={"line": 3}))
    assert not store.holds(replace(first, answer="19"))
    assert not store.holds(replace(first, id="b"))


def test_whatever_changes_a_draw_changes_the_name_of_the_store() -> None:
    fingerprint = Fingerprint("g" * 64, "", "probe", "p" * 64, {"temperature": 0.8}, 2048)
    others = [
        (replace(fingerprint, generator="h" * 64), PLAN),
        (replace(fingerprint, prm="x" * 64, prm_format="judge"), PLAN),
        (replace(fingerprint, prompt="q" * 64), PLAN),
        (replace(fingerprint, sampling={"temperature": 0.7}), PLAN),
        (replace(fingerprint, window=1024), PLAN),
        (fingerprint, replace(PLAN, samples=5)),
        (fingerprint, replace(PLAN, seed=1)),
    ]
    for prompt, temperature, count in (("p", 0.8, 2), ("p", 0.8, 3), ("q", 0.8, 3)):
        program = ProgramFingerprint(prompt * 64, {"temperature": temperature})
        others.append((replace(fingerprint, program=program), replace(PLAN, programs=count)))
    paths = {PLAN.store_path(fingerprint), *(plan.store_path(each) for each, plan in others)}
    assert len(paths) == 1 + len(others)


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


def draw(asked: list[Problem], store: RolloutStore, driver: Driver) -> Iterator[tuple[Problem, str]]:
    return RolloutRun(asked, PLAN, store).draw(driver, CONDITIONS)


def test_each_question_is_kept_before_it_is_reported_and_drawn_once(store: RolloutStore) -> None:
    policy = Counting(solve)
    for problem, error in draw(ASKED, store, driver_of(policy)):
        assert store.holds(problem)
        assert not error
    assert all(map(store.holds, ASKED))
    assert policy.opened == len(ASKED)
    assert list(draw(ASKED, store, driver_of(policy))) == []
    assert policy.opened == len(ASKED)


def test_what_was_not_finished_is_not_kept_and_drawn_later(store: RolloutStore) -> None:
    driver = driver_of(Counting(solve))
    for number, _ in enumerate(draw(ASKED, store, driver)):
        if number == 4:
            driver.interrupt()
    held = [problem.id for problem in ASKED if store.holds(problem)]
    assert 5 <= len(held) < len(ASKED)
    again = [problem.id for problem, _ in draw(ASKED, store, driver_of(Counting(solve)))]
    assert sorted(held + again) == sorted(problem.id for problem in ASKED)


def test_a_question_that_cannot_be_searched_is_told_and_left_out(store: RolloutStore) -> None:
    bad = Problem("bad", "too long", "18")
    found = list(draw([*ASKED[:2], bad, *ASKED[2:4]], store, driver_of(Counting(solve))))
    [[problem, error]] = [each for each in found if each[1]]
    assert problem == bad
    assert "too long" in error
    assert not store.holds(bad)
    assert sum(map(store.holds, ASKED)) == 4


@pytest.mark.parametrize("slots", [5, 32])
def test_neighbours_change_nothing_of_what_is_kept(slots: int) -> None:
    """A resumed run relies on it: other questions are in flight beside those that were missing."""
    asked = problems(40)
    together = searched(asked, slots=slots)
    for problem in asked:
        [alone] = searched([problem], slots=slots).values()
        own = together[problem.id]
        assert [each.node for each in own.candidates] == [each.node for each in alone.candidates]
        texts = [[node.step and node.step.token_ids for node in record.tree] for record in (own, alone)]
        assert texts[0] == texts[1], problem.id
        pairs = zip(readings(own), readings(alone), strict=True)
        assert all(np.array_equal(a.last, b.last) for a, b in pairs)


def test_training_rows_are_the_prefixes_of_all_solutions_with_their_outcomes() -> None:
    asked = problems(6)
    records = [searched(asked)[problem.id] for problem in asked]
    training = training_set(records)
    finished = training.stages["finished"]
    assert [(each.question, each.total) for each in training.stages["question"]] == [(i, 4) for i in range(6)]
    steps = sum(len(record.tree.path(each.node)) for record in records for each in record.candidates)
    assert steps == len(training.stages["step"]) + len(finished)
    cut_off = 0
    for question, (sampled, record) in enumerate(zip(training.samples, records, strict=True)):
        # As in a search, a run that was cut off without an answer is no candidate.
        known = counted(record)
        cut_off += len(record.candidates) - len(known)
        assert all(finished[sample.row].independent for sample in sampled)
        assert [(sample.answer, sample.right) for sample in sampled] == [
            (c.answer, right) for c, right in known
        ]
        assert [sample.answer == "18" for sample in sampled] == [right for _, right in known]
        assert training.stages["question"][question].right == sum(right for _, right in known)
        assert {finished[sample.row].question for sample in sampled} == {question}
    assert cut_off > 0


def test_a_solution_whose_sum_was_drawn_again_counts_once_from_the_question_on() -> None:
    [problem] = problems(1)
    log = log_of(ReadingPolicy(sloppy, 8), PLAN.settings(CONDITIONS).strategy, problem)
    record = Record.of(log)
    assert any(node.status == "pruned" for node in record.tree), "a sum was wrong"
    training = training_set([record])
    [question] = training.stages["question"]
    assert (question.total, len(training.stages["finished"])) == (4, 4)
    assert sum(each.independent for each in training.stages["step"]) == 4


def test_rewards_of_a_prm_take_the_place_of_the_likelihood() -> None:
    def reward(prefix: Prefix) -> float:
        return len("".join(step.text for step in prefix.steps)) / 1000

    driver = Driver(ReadingPolicy(solve, 8), ScriptedPRM(reward), {}, ticking())
    strategy = PLAN.settings(CONDITIONS)
    [record] = [Record.of(event for _, event in driver.run(problems(1), strategy))]
    seen = [each.observation.numbers["reward"] for each in training_set([record]).stages["finished"]]
    expected = [len(record.tree.text(each.node)) / 1000 for each in record.candidates]
    assert sigmoid(np.array(seen)) == pytest.approx(expected, rel=1e-5)


def test_a_model_that_answers_in_one_step_can_be_fitted_and_measured() -> None:
    whole = training_set([*searched(problems(30)).values()])
    training = replace(whole, stages={**whole.stages, "step": []})
    calibration, held_out = fit_calibration(training, seed=0)
    new = measured(calibration, training)
    assert len(new["step"].right) == 0
    for found in (held_out, new):
        assert set(report(found)) == {"question", "finished", "answer"}
