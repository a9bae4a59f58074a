"""What a model's size says, and where a portable calibration counts it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pytest
from worlds import fitted, fitted_portable, problems, searched, training

from adascale.engine.answers.votes import group_answers
from adascale.engine.calibration.calibration import Calibration
from adascale.engine.calibration.features import STAGES_OF, logit, sigmoid
from adascale.engine.calibration.fitting import measure
from adascale.engine.calibration.model_size import UNKNOWN, rate_of_size
from adascale.engine.ports import Prefix
from adascale.engine.search.tree import Tree
from adascale.engine.types import Candidate, Estimate, FinishedSearch, NodeId, Problem
from adascale.models.calibration.artefact import SUFFIX, load_artefact
from adascale.models.calibration.installed import shipped_folder

SMALL = 0.4e9
SHIFT = float(logit(np.array(rate_of_size(SMALL))))


PREFIX = Prefix(Problem("p", "What is 9 * 2?"))


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
    assert rate_of_size(1e6) == rate_of_size(0.1e9) == pytest.approx(0.10, abs=0.01)
    assert rate_of_size(0) == UNKNOWN  # the file does not say


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
        assert (after.lower, after.upper) < (before.lower, before.upper)
        moved += 1
    assert moved > 2


@functools.cache
def shipped() -> Calibration:
    """The one that ships."""
    return load_artefact(shipped_folder() / f"portable{SUFFIX}").calibration


def ended(answers: Sequence[str | None], alone: float, calibration: Calibration) -> FinishedSearch:
    """A search whose solutions have such logits alone where nothing is known of the generator."""
    shift = float(logit(np.array(calibration.prior)))

    def estimate(at: float) -> Estimate:
        low, middle, high = sigmoid(np.array([at - 1, at, at + 1]) + shift)
        return Estimate(float(low), float(middle), float(high), calibrated=True)

    found = tuple(Candidate(NodeId(at + 1), answer, estimate(alone)) for at, answer in enumerate(answers))
    return FinishedSearch({"prose": estimate(0.0)}, found, tuple(group_answers(found)))


def judged(answers: Sequence[str | None], alone: float, calibration: Calibration) -> tuple[float, float]:
    """Probabilities of the answer, and of its first solution as it stands."""
    finished = ended(answers, alone, calibration)
    own = finished.candidates[0]
    stands = calibration.revise(PREFIX, finished).get(own.node, own.estimate)
    return calibration.confidence(PREFIX, finished).median, stands.median


@pytest.mark.parametrize("alone", [-5.0, -2.0, 1.0, 4.0])
@pytest.mark.parametrize("billions", [0.135, 0.5, 3])
def test_the_size_does_not_count_where_solutions_agree(billions: float, alone: float) -> None:
    unknown = shipped()
    before, after = (judged(["18"] * 3, alone, each) for each in (unknown, unknown.of_size(billions * 1e9)))
    assert after == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("others", [["7"], [None], ["7", None], [None, None], ["7", "8", "9"]])
@pytest.mark.parametrize("billions", [0.135, 0.5, 3])
def test_no_solution_gains_by_others_that_do_not_agree(billions: float, others: list[str | None]) -> None:
    calibration = fitted_portable().calibration.of_size(billions * 1e9)
    alone = judged(["18"], 0.0, calibration)
    beside = judged(["18", *others], 0.0, calibration)
    assert max(beside) <= max(alone) + 1e-9


@pytest.mark.parametrize("others", [[], ["7"], [None]])
@pytest.mark.parametrize("billions", [0.135, 0.5, 3])
def test_a_second_vote_raises_an_answer_whatever_the_size(billions: float, others: list[str | None]) -> None:
    calibration = shipped().of_size(billions * 1e9)
    for alone in (-2.0, 0.0, 2.0):
        one, two = (judged([*votes, *others], alone, calibration) for votes in (["18"], ["18", "18"]))
        assert two[0] > one[0]


def test_a_single_answer_counts_the_size() -> None:
    unknown, small = both()
    before, after = (judged(["18"], 0.0, each)[0] for each in (unknown, small))
    assert after < before - 0.1
    large = unknown.of_size(3e9)
    assert judged(["18"], 0.0, large)[0] > before


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
    assert moved.max() < 1e-6  # nothing gains by a size that is small
    assert np.median(moved[alone]) == pytest.approx(SHIFT, abs=1e-6)
    assert np.median(moved[~alone]) == pytest.approx(0, abs=1e-6)


def test_a_fitted_calibration_knows_how_often_its_own_model_is_right() -> None:
    calibration = fitted().calibration
    assert calibration.of_size(SMALL) is calibration
