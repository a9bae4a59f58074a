"""Several models' data as one, and what an estimate without any model's states depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import fitted, fitted_portable, problems, searched, training

from adascale.engine.answers.lookahead import log_odds
from adascale.engine.answers.votes import group_answers
from adascale.engine.calibration import Method
from adascale.engine.calibration.calibration import Calibration
from adascale.engine.calibration.features import FINISHED
from adascale.engine.calibration.fitting import fit_calibration, measure
from adascale.engine.calibration.head import HeadConfig
from adascale.engine.calibration.metrics import skill
from adascale.engine.calibration.models import fit_model
from adascale.engine.calibration.portable import join, without_states
from adascale.engine.calibration.question_text import TEXT_FEATURES, text_features
from adascale.engine.ports import Prefix
from adascale.engine.search.tree import Tree
from adascale.engine.types import ROOT, Candidate, Estimate, FinishedSearch, NodeId, Problem, Reading


def texts(asked: list[Problem]) -> list[str]:
    return [problem.question for problem in asked]


ASKED = [problems(40), problems(30, 100), problems(30, 200)]
PARTS = [without_states(training(asked, programs=2), texts(asked)) for asked in ASKED]


def portable() -> Calibration:
    fit = fit_calibration(join(PARTS), "beta", HeadConfig(components=0), 0)
    return replace(fit.calibration, is_portable=True)


def test_the_rows_of_all_models_are_there_and_held_out_together() -> None:
    both = join(PARTS)
    assert both.models is not None
    assert both.models.tolist() == [0] * 40 + [1] * 30 + [2] * 30
    for stage, data in both.stages.items():
        parts = [part.stages[stage] for part in PARTS]
        assert len(data.right) == sum(len(part.right) for part in parts)
        assert data.right.sum() == sum(part.right.sum() for part in parts)
        first = len(parts[0].right)
        assert (data.question[first : first + len(parts[1].right)] == parts[1].question + 40).all()
        assert data.independent is not None
    for question in both.samples:
        for sample in question.samples:
            data = both.stages[FINISHED[sample.mode]]
            assert data.question[sample.row] == question.question
            assert data.right[sample.row] == sample.right * data.total[sample.row]


def test_one_model_alone_is_held_out_question_by_question() -> None:
    """With other outcomes of a question its own held-out estimates stay as they are, and others do not."""
    alone = join(PARTS[:1])
    stage = alone.stages["finished"]
    own = stage.question == 0
    wrong = replace(stage, right=np.where(own, stage.total - stage.right, stage.right))
    before, after = (
        fit_model(each, "isotonic", HeadConfig(components=0), 0, models=alone.models)[1]
        for each in (stage, wrong)
    )
    assert (before[own, 1] == after[own, 1]).all()
    assert not (before[~own, 1] == after[~own, 1]).all()


@pytest.mark.parametrize("method", ["beta", "isotonic"])
def test_a_stage_of_one_of_several_models_is_held_out_question_by_question(method: Method) -> None:
    """A model that answers in one step has no unfinished prefixes."""
    both = join(PARTS[:2])
    stage = both.stages["finished"]
    assert both.models is not None
    alone = stage.take(both.models[stage.question] == 1)
    _, held_out = fit_model(alone, method, HeadConfig(components=0), 0, models=both.models)
    assert np.isfinite(held_out).all()


def test_the_base_rate_of_one_model_alone_does_not_count_either() -> None:
    alone = join(PARTS[:1])
    stage = alone.stages["finished"]
    seldom = replace(stage, right=np.where(stage.question % 5 == 0, stage.right, 0))
    even, plain = (
        fit_model(seldom, "isotonic", HeadConfig(components=0), 0, models=models)[1][:, 1].mean()
        for models in (alone.models, None)
    )
    assert plain < 0.2
    assert even > 0.3


def test_the_estimates_of_a_model_are_by_the_others() -> None:
    """With other outcomes of one model, its own held-out estimates stay as they are."""
    stage = PARTS[0].stages["finished"]
    wrong = replace(PARTS[0], stages={**PARTS[0].stages, "finished": replace(stage, right=stage.right * 0)})
    config, own = HeadConfig(components=0), slice(0, len(stage.right))
    before, after = (
        fit_calibration(join([part, *PARTS[1:]]), "isotonic", config, 0).held_out["finished"].quantiles
        for part in (PARTS[0], wrong)
    )
    assert (before[own, 1] == after[own, 1]).all()
    assert not (before[len(stage.right) :, 1] == after[len(stage.right) :, 1]).all()


def test_an_estimate_reads_no_state_of_the_model() -> None:
    calibration = portable()
    [record] = searched(problems(1, 500)).values()
    tree: Tree = record.tree
    for node in tree:
        prefix = tree.prefix(node.id)
        noise = Reading(np.full(7, 9.0, np.float32), np.full(7, -9.0, np.float32))
        other = replace(
            prefix,
            prompt=noise,
            steps=tuple(
                replace(step, reading=replace(step.reading, last=noise.last, mean=noise.mean))
                for step in prefix.steps
                if step.reading is not None
            ),
        )
        if node.id == ROOT:
            assert calibration.question(prefix) == calibration.question(other)
        else:
            assert calibration.estimate(prefix, 0.5) == calibration.estimate(other, 0.5)


@pytest.mark.parametrize(
    "question",
    [
        "Wie viele Brötchen hat der Bäcker noch, nachdem er zwanzig davon verkauft hat?",
        "パン屋は3枚のトレイに12個ずつパンを並べました。20個売れました。残りは何個ですか?",
    ],
)
def test_a_question_in_another_language_looks_different(question: str) -> None:
    english = text_features("How many rolls does the baker have now that she has sold 20 of her 36 rolls?")
    other = text_features(question)
    assert len(english) == len(TEXT_FEATURES)
    assert other[0] < 0.2 < english[0] == 1
    assert text_features("What is 9 * 2?").tolist() == english.tolist() == [1, 1, 1]
    assert np.isfinite(text_features("")).all()


def test_it_is_measured_alike_with_states_and_without_them() -> None:
    asked = problems(20, 5000)
    own = training(asked, programs=2)
    calibration = fitted_portable().calibration
    with_states, without = (
        measure(calibration, data, 0) for data in (own, without_states(own, texts(asked)))
    )
    assert with_states.keys() == without.keys() == {*own.stages, "answer", "agreement"}
    for stage, found in with_states.items():
        assert np.array_equal(found.quantiles, without[stage].quantiles)
    assert skill(with_states["agreement"]) > skill(with_states["finished"])


def test_right_and_wrong_outcomes_of_every_model_weigh_the_same() -> None:
    both = join(PARTS)
    assert both.models is not None
    for stage in ("finished", "program"):
        data = both.stages[stage].at_even_odds(both.models)
        weight, rate = data.weight(), data.right / data.total
        models = both.models[data.question]
        whole = [weight[models == model].sum() for model in range(3)]
        right = [(weight * rate)[models == model].sum() for model in range(3)]
        assert np.allclose(whole, np.mean(whole), rtol=0.15)
        assert all(0.4 < r / w < 0.6 for r, w in zip(right, whole, strict=True))


def test_no_interval_is_narrower_than_a_beta_of_concentration_8() -> None:
    """On average over what was fitted: the bound is one of the mean."""
    near_even = set()
    for stage, found in fitted_portable().held_out.items():
        middle = np.abs(found.quantiles[:, 1] - 0.5) < 0.1
        if middle.sum() > 20:
            widths = found.quantiles[middle, 2] - found.quantiles[middle, 0]
            assert widths.mean() > 0.3, stage
            near_even.add(stage)
    assert near_even >= {"finished", "question"}


def test_a_portable_calibration_compares_solutions_with_each_other_a_fitted_one_with_the_question() -> None:
    likely, likelier = (Estimate(p - 0.1, p, p + 0.1, calibrated=True) for p in (0.7, 0.8))
    found = (Candidate(NodeId(1), "18", likely), Candidate(NodeId(2), "18", likelier))
    asked = Estimate(0.1, 0.3, 0.5, calibrated=True)
    finished = FinishedSearch({"prose": asked}, found, tuple(group_answers(found)))
    prefix = Prefix(Problem("p", "?"))
    portable, own = (fit.calibration.odds(prefix, finished) for fit in (fitted_portable(), fitted()))
    assert own == {c.node: log_odds(c.estimate.median) - log_odds(0.3) for c in found}
    assert portable[NodeId(1)] == -portable[NodeId(2)] < 0 < min(own.values())
