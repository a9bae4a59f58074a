"""What a model's size says, and where a portable calibration counts it."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import fitted, fitted_portable, problems, searched, training

from adascale.engine.answers.votes import group_answers
from adascale.engine.calibration.calibration import Calibration
from adascale.engine.calibration.features import STAGES_OF, logit
from adascale.engine.calibration.fitting import measure
from adascale.engine.calibration.model_size import rate_of_size
from adascale.engine.ports import Prefix
from adascale.engine.search.tree import Tree
from adascale.engine.types import Candidate, Estimate, FinishedSearch, NodeId, Problem

SMALL = 0.4e9
SHIFT = float(logit(np.array(rate_of_size(SMALL))))


def logits(estimate: Estimate) -> float:
    return float(logit(np.array(estimate.median)))


def both() -> tuple[Calibration, Calibration]:
    """A portable calibration where nothing is known of the generator, and where it is small."""
    unknown = fitted_portable().calibration
    return unknown, unknown.of_size(SMALL)


def test_larger_models_are_right_more_often_up_to_an_end() -> None:
    rates = [rate_of_size(billions * 1e9) for billions in (0.135, 0.5, 1.5, 2.5)]
    assert rates == sorted(rates)
    assert rates[1] == pytest.approx(0.32, abs=0.01)
    assert rates[2] == pytest.approx(0.55, abs=0.01)
    assert rate_of_size(3e9) == rate_of_size(70e9) == pytest.approx(0.67, abs=0.01)
    assert rate_of_size(0) == rate_of_size(0.1e9) == pytest.approx(0.10, abs=0.01)


def test_what_stands_alone_counts_the_size() -> None:
    unknown, small = both()
    assert unknown.prior == 0.5
    [record] = searched(problems(1, 500)).values()
    tree: Tree = record.tree
    question = Prefix(problems(1, 500)[0])
    assert logits(small.question(question)) - logits(unknown.question(question)) == pytest.approx(SHIFT)
    moved = 0
    for node in list(tree)[1:]:
        prefix = tree.prefix(node.id)
        before, after = (each.estimate(prefix, 0.5) for each in (unknown, small))
        assert logits(after) - logits(before) == pytest.approx(SHIFT, abs=1e-6)
        assert after.lower <= before.lower
        assert after.upper <= before.upper
        moved += 1
    assert moved > 2


@pytest.mark.parametrize(("answers", "shift"), [(["18"], SHIFT), (["18", "18"], 0), (["18", "7"], 0)])
def test_an_answer_counts_the_size_until_another_solution_speaks(answers: list[str], shift: float) -> None:
    likely = Estimate(0.5, 0.6, 0.7, calibrated=True)
    found = tuple(Candidate(NodeId(at + 1), answer, likely) for at, answer in enumerate(answers))
    finished = FinishedSearch({"prose": likely}, found, tuple(group_answers(found)))
    prefix = Prefix(Problem("p", "What is 9 * 2?"))
    unknown, small = both()
    moved = logits(small.confidence(prefix, finished)) - logits(unknown.confidence(prefix, finished))
    assert moved == pytest.approx(shift, abs=1e-6)
    assert small.revise(prefix, finished) == unknown.revise(prefix, finished)
    assert bool(small.revise(prefix, finished)) == (len(answers) > 1)


def test_it_is_measured_as_it_is_used() -> None:
    asked = problems(20, 5000)
    data = training(asked, programs=2)
    unknown, small = (measure(each, data, 0) for each in both())
    for stage in (*STAGES_OF["prose"], *STAGES_OF["program"]):
        moved = logit(small[stage].quantiles[:, 1]) - logit(unknown[stage].quantiles[:, 1])
        # Those of programs that fail lie where logits are cut off.
        assert np.median(moved) == pytest.approx(SHIFT, abs=1e-6)
    alone = unknown["answer"].independent
    assert alone is not None
    moved = logit(small["answer"].quantiles[:, 1]) - logit(unknown["answer"].quantiles[:, 1])
    assert np.allclose(moved[alone], SHIFT, atol=1e-6)
    assert np.allclose(moved[~alone], 0, atol=1e-6)


def test_a_fitted_calibration_knows_how_often_its_own_model_is_right() -> None:
    calibration = fitted().calibration
    assert calibration.of_size(SMALL) is calibration
