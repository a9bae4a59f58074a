"""Each model is judged by the others alone and by its size, and what all of them show is one table."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import problems, training

from adascale.engine.calibration.portable import fit_portable, join, without_states
from adascale.engine.calibration.report import measure
from bench.evidence.portable import judge, pooled

pytestmark = pytest.mark.slow

ASKED = {"small": problems(30), "large": problems(25, 1000)}
DRAWN = {
    name: without_states(training(asked, programs=2), [each.question for each in asked])
    for name, asked in ASKED.items()
}
SIZES = {"small": 0.4e9, "large": 3e9}


def test_a_model_is_judged_by_the_others_and_its_size() -> None:
    found = judge(DRAWN, SIZES, fit_portable(join(list(DRAWN.values())), 0), 0)
    by_large = fit_portable(join([DRAWN["large"]]), 0).calibration.of_size(SIZES["small"])
    for stage, expected in measure(by_large, DRAWN["small"], 0).items():
        assert np.array_equal(found["small"][stage].quantiles, expected.quantiles)
    together = pooled(list(found.values()))
    for stage, both in together.items():
        parts = [found[name][stage] for name in DRAWN]
        assert len(both.right) == sum(len(part.right) for part in parts)
        assert len(set(both.question)) == sum(len(set(part.question)) for part in parts)
        assert np.array_equal(both.quantiles[-len(parts[1].right) :], parts[1].quantiles)


def test_a_single_model_is_judged_by_its_other_questions() -> None:
    fit = fit_portable(join([DRAWN["small"]]), 0)
    assert judge({"small": DRAWN["small"]}, SIZES, fit, 0) == {"small": fit.held_out}
