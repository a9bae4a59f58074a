"""Solutions that label each other, and the calibration that knows what agreement means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from worlds import fitted_portable, problems, searched

from adascale.engine.calibration.fitting import fit_calibration
from adascale.engine.calibration.head import HeadConfig
from adascale.engine.calibration.metrics import skill
from adascale.engine.types import FINISHES
from adascale.models.calibration.labelling import agrees, label_by_agreement
from adascale.models.calibration.rollouts import Rollouts
from adascale.models.calibration.training import training_set

FIT = fitted_portable()


def questions(count: int, start: int) -> list[tuple[Rollouts, Rollouts]]:
    """Prose and programs of each question."""
    records = searched(problems(count, start), programs=3).values()
    return [(Rollouts.of(record), Rollouts.of(record, "program")) for record in records]


def test_agreement_has_skill_on_a_model_that_it_has_not_seen() -> None:
    assert skill(FIT.held_out["agreement"]) > 0.2
    assert FIT.calibration.is_portable


def test_labels_are_probabilities_that_add_up_along_the_way() -> None:
    for question in questions(5, 60):
        labels = label_by_agreement(question, FIT.calibration)
        for rollouts, labelled in zip(question, labels, strict=True):
            ends = rollouts.ends()
            assert ((labelled.right[ends] >= 0) & (labelled.right[ends] < 1)).all()
            assert (labelled.right <= labelled.total + 1e-6).all()
            assert labelled.right[0] == pytest.approx(labelled.right[rollouts.samples()].sum(), abs=1e-5)
            assert all(labelled.right[end] == 0 for end in ends if rollouts.answers[end] is None)


def test_a_fit_without_answers_has_skill_against_the_right_ones() -> None:
    own = questions(60, 2000)
    labelled = [label_by_agreement(question, FIT.calibration) for question in own]
    pseudo = training_set([prose for prose, _ in labelled], None, [programs for _, programs in labelled])
    known = training_set([prose for prose, _ in own], None, [programs for _, programs in own]).stages[
        "finished"
    ]
    held_out = fit_calibration(pseudo, "beta", HeadConfig(), 0).held_out["finished"]
    assert skill(known.predictions(held_out.quantiles)) > 0.1
    assert not np.array_equal(held_out.right, known.right)


def test_whether_any_two_solutions_agree() -> None:
    [(prose, _)] = questions(1, 70)
    assert agrees([prose])
    ends = prose.ends()
    answers = tuple(str(at) if at in ends else None for at in range(len(prose.answers)))
    assert not agrees([replace(prose, answers=answers)])


def test_a_solution_that_was_cut_off_is_no_voice_against_the_others() -> None:
    [question] = questions(1, 60)
    prose = question[0]
    one, two, *others = prose.samples()
    cut = np.array(prose.finish)
    cut[others] = FINISHES.index("length")
    answers = [("18" if at in (one, two) else None) for at in range(len(prose.answers))]

    def chance(finish: NDArray[np.int32]) -> float:
        asked = replace(prose, answers=tuple(answers), finish=finish)
        [labelled] = label_by_agreement([asked], FIT.calibration)
        return float(labelled.right[one])

    assert others
    assert chance(cut) > chance(np.array(prose.finish))


def test_where_nothing_counts_as_a_voice_no_label_is_a_number_of_nothing() -> None:
    [question] = questions(1, 60)
    prose = question[0]
    cut = np.array(prose.finish)
    cut[prose.ends()] = FINISHES.index("length")
    redrawn = next(end for end in prose.ends() if end not in prose.samples())
    answers = tuple("18" if at == redrawn else None for at in range(len(prose.answers)))
    [labelled] = label_by_agreement([replace(prose, answers=answers, finish=cut)], FIT.calibration)
    assert not labelled.right.any()
