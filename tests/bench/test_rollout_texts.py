"""Rollouts as lines, and back."""

from __future__ import annotations

import numpy as np
from worlds import drawn, problems

from adascale.models.calibration.training import training_set
from bench.evidence.rollout_texts import line, rollouts_of


def test_a_fit_reads_the_same_numbers_in_lines() -> None:
    rollouts = drawn(problems(6))

    back = [rollouts_of(line(each), each.problem) for each in rollouts]

    ours, theirs = training_set(rollouts), training_set(back)
    assert theirs.samples == ours.samples
    assert theirs.stages.keys() == ours.stages.keys()
    for stage, data in ours.stages.items():
        again = theirs.stages[stage]
        np.testing.assert_array_equal(again.right, data.right)
        np.testing.assert_array_equal(again.total, data.total)
        assert data.evidence.numbers.size or stage == "question"
        np.testing.assert_allclose(again.evidence.numbers, data.evidence.numbers, rtol=3e-3, atol=2e-3)
