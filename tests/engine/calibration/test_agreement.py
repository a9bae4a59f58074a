"""What the other solutions of a question say of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import fitted_portable, problems, training

from adascale.engine.answers.votes import group_answers
from adascale.engine.calibration.agreement import FEATURES, agreement_row, group_numbers, revise
from adascale.engine.calibration.fitting import agreement_data
from adascale.engine.calibration.portable import fit_portable, without_states
from adascale.engine.types import Candidate, Estimate, FinishedSearch, Mode, NodeId

QUESTIONS: dict[Mode, Estimate] = {
    mode: Estimate(0.1, 0.5, 0.9, calibrated=True) for mode in ("prose", "program")
}
SOLUTIONS = st.lists(
    st.tuples(
        st.sampled_from(["18", "18.0", "20", "21", None]),
        st.sampled_from(["prose", "program"]),
        st.floats(0.02, 0.98),
    ),
    min_size=2,
    max_size=9,
)
Found = Sequence[tuple[str | None, Mode, float]]


def candidates(found: Found) -> list[Candidate]:
    return [
        Candidate(NodeId(at + 1), answer, Estimate(p / 2, p, (1 + p) / 2, calibrated=True), mode)
        for at, (answer, mode, p) in enumerate(found)
    ]


def same(*answers: str | None, mode: Mode = "prose", p: float = 0.5) -> list[tuple[str | None, Mode, float]]:
    return [(answer, mode, p) for answer in answers]


def row(found: Found, at: int) -> dict[str, float]:
    own = candidates(found)
    others = [other for other in range(len(own)) if other != at]
    numbers = agreement_row(own, group_numbers(own, group_answers(own)), at, others, QUESTIONS)
    return dict(zip(FEATURES, map(float, numbers), strict=True))


def revised(found: Found | list[Candidate]) -> dict[NodeId, Estimate]:
    own = [c if isinstance(c, Candidate) else candidates([c])[0] for c in found]
    own = [replace(c, node=NodeId(at + 1)) for at, c in enumerate(own)]
    model = fitted_portable().calibration.agreement
    assert model is not None
    return revise(model, FinishedSearch(QUESTIONS, tuple(own), tuple(group_answers(own))))


def test_equal_answers_are_one_group_and_none_is_in_no_group() -> None:
    own = candidates(same("18", None, "18.0", "20"))
    assert group_numbers(own, group_answers(own)) == [0, -1, 0, 1]


def test_the_features_by_hand() -> None:
    found = row([("18", "prose", 0.8), *same("18", "20", "20", "21", None)], 0)
    assert found["support"] == pytest.approx(np.log(1.5 / 4.5))  # one of five others
    assert found["lead"] == pytest.approx(-1 / np.sqrt(5))
    assert found["odds"] == pytest.approx(np.log(4))
    assert (found["both modes"], found["program"]) == (0, 0)


def test_a_program_that_agrees_with_prose_says_so() -> None:
    found = [*same("18", "20"), *same("18", mode="program")]
    assert row(found, 2)["both modes"] == row(found, 2)["program"] == 1
    assert row(found, 0)["both modes"] == 1
    assert row(found, 1)["both modes"] == 0


@given(SOLUTIONS, st.integers(0, 8))
@settings(deadline=None)
def test_a_solution_has_no_vote_on_itself(found: Found, at: int) -> None:
    """Beside others that say something else, its estimate is the same whatever its answer is."""
    others = [(None if answer is None else f"{answer}7", mode, p) for answer, mode, p in found]
    at %= len(others)
    _, mode, p = found[at]
    one, other = (
        revised([*others[:at], (answer, mode, p), *others[at:]])[NodeId(at + 1)] for answer in ("3", "4")
    )
    assert one == other
    assert row([*others[:at], ("3", mode, p), *others[at:]], at)["support"] < 0


@given(SOLUTIONS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_solutions_changes_no_estimate(found: Found, order: object) -> None:
    shuffled = list(range(len(found)))
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    before, after = revised(found), revised([found[at] for at in shuffled])
    for place, at in enumerate(shuffled):
        here, there = before.get(NodeId(at + 1)), after.get(NodeId(place + 1))
        assert (here is None) == (there is None) == (found[at][0] is None)
        if here is not None and there is not None:
            assert here.median == pytest.approx(there.median, abs=1e-12)


@given(SOLUTIONS, st.sampled_from(["prose", "program"]), st.floats(0.02, 0.98))
@settings(deadline=None)
def test_more_agreement_never_lowers_an_estimate(found: Found, mode: Mode, p: float) -> None:
    if found[0][0] is None:
        return
    before = revised(found)[NodeId(1)].median
    more = revised([*found, (found[0][0], mode, p)])[NodeId(1)].median
    assert more >= before - 1e-12
    against = revised([*found, ("77", mode, p)])[NodeId(1)].median
    assert against <= more + 1e-12


def test_nothing_is_revised_where_one_stands_alone() -> None:
    assert revised(same("18")) == {}
    assert revised(same(None, None)) == {}
    assert set(revised(same("18", None))) == {NodeId(1)}


def test_each_solution_is_judged_beside_fewer_and_more_others() -> None:
    asked = problems(3, 50)
    data = without_states(training(asked, programs=3), [p.question for p in asked])
    fit = fit_portable(data, 0)
    stage, beside = agreement_data(data, fit.held_out, 0)
    answered = [sum(s.answer is not None for s in each.samples) for each in data.samples]
    sizes = [len(each.samples) for each in data.samples]
    assert len(stage.right) == sum(a * (n - 1) for a, n in zip(answered, sizes, strict=True))
    assert stage.independent is not None
    assert stage.independent.sum() == sum(answered)
    assert beside.min() == 1
    assert beside.max() == max(sizes) - 1
