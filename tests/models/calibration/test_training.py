"""Rollouts as training data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import WIDTH, drawn, problems

from adascale.engine.calibration.features import STAGES, sigmoid
from adascale.engine.calibration.fit import HeadConfig, StageData, fit_calibration
from adascale.engine.calibration.report import measure, report
from adascale.models.calibration.training import training_set


def test_training_rows_are_all_prefixes_with_their_outcomes() -> None:
    kept = drawn(problems(6))
    training = training_set(kept)
    assert training.stages["question"].total.tolist() == [4] * 6
    assert training.stages["question"].question.tolist() == list(range(6))
    nodes = sum(len(r.nodes) - 1 for r in kept)
    assert nodes == len(training.stages["step"].right) + len(training.stages["finished"].right)
    for stage in ("step", "finished"):
        data = training.stages[stage]
        assert np.all(data.total >= 1)
        assert np.all(data.right <= data.total)
        assert [block.shape[1] for block in data.evidence.states.values()] == [WIDTH] * 4
    cut_off = 0
    for sampled, rollouts in zip(training.samples, kept, strict=True):
        # As in a search, a run that was cut off without an answer is no candidate.
        ends = [rollouts.nodes[row] for row in rollouts.samples()]
        ended = [bool(end.answer) or end.finish == "stop" for end in ends]
        cut_off += ended.count(False)
        rows = [sample.row for sample in sampled.samples]
        right = [sample.right for sample in sampled.samples]
        assert len(rows) == sum(ended)
        assert list(training.stages["finished"].right[rows] > 0) == right
        assert training.stages["finished"].independent[rows].all()
        assert sum(right) == rollouts.nodes[0].right
        assert [sample.answer == "18" for sample in sampled.samples] == right
        assert set(training.stages["finished"].question[rows]) == {sampled.question}
    assert cut_off > 0


def test_rewards_of_a_prm_take_the_place_of_the_likelihood() -> None:
    kept = drawn(problems(3))
    rewards = [np.linspace(0.1, 0.9, len(r.nodes)).astype(np.float32) for r in kept]
    evidence = training_set(kept, rewards=rewards).stages["finished"].evidence
    expected = [float(rewards[i][n]) for i, r in enumerate(kept) for n in r.ends()]
    assert sigmoid(evidence.columns(["reward"])[:, 0]) == pytest.approx(expected, rel=1e-5)


def test_a_model_that_answers_in_one_step_can_be_fitted_and_measured() -> None:
    whole = training_set(drawn(problems(30)))
    none = StageData.stack([], STAGES["step"].numbers, STAGES["step"].states)
    training = replace(whole, stages={**whole.stages, "step": none})
    result = fit_calibration(training, HeadConfig(steps=20, folds=2), seed=0)
    new = measure(result.calibration, training, 0)
    assert len(new["step"].right) == 0
    for found in (result.held_out, new):
        assert set(report(found, rounds=5)) == {"question", "finished", "answer"}
