"""The calibration of models that nobody fitted: what it depends on, and what its parts are worth."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import fitted, fitted_portable, problems, searched, training

from adascale.engine.answers.choosing import group_answers
from adascale.engine.answers.lookahead import log_odds
from adascale.engine.calibration.features import FINISHED, STAGES_OF, logit, sigmoid
from adascale.engine.calibration.fitting import fit_stages
from adascale.engine.calibration.head_fit import HeadConfig
from adascale.engine.calibration.metrics import skill
from adascale.engine.calibration.portable import (
    TEXT_FEATURES,
    UNKNOWN,
    Peers,
    PortableCalibration,
    agreement_examples,
    join,
    rate_of_size,
    text_features,
    without_states,
)
from adascale.engine.calibration.report import measure
from adascale.engine.ports import Prefix
from adascale.engine.types import ROOT, Candidate, Estimate, FinishedSearch, Mode, NodeId, Problem, Reading
from adascale.models.calibration.artefact import SUFFIX, load_artefact
from adascale.models.calibration.installed import shipped_folder

SMALL = 0.4e9
SHIFT = float(logit(np.array(rate_of_size(SMALL))))
PREFIX = Prefix(Problem("p", "What is 9 * 2?"))
QUESTIONS: dict[Mode, Estimate] = {
    mode: Estimate(0.1, 0.5, 0.9, calibrated=True) for mode in ("prose", "program")
}
Found = Sequence[tuple[str | None, Mode, float]]
SOLUTIONS = st.lists(
    st.tuples(
        st.sampled_from(["18", "18.0", "20", "21", None]),
        st.sampled_from(["prose", "program"]),
        st.floats(0.02, 0.98),
    ),
    min_size=2,
    max_size=9,
)


def logits(estimate: Estimate | None) -> float:
    assert estimate is not None
    return float(logit(np.array(estimate.median)))


def search(found: Found) -> FinishedSearch:
    own = [
        Candidate(NodeId(at + 1), answer, Estimate(p / 2, p, (1 + p) / 2, calibrated=True), mode)
        for at, (answer, mode, p) in enumerate(found)
    ]
    return FinishedSearch(QUESTIONS, tuple(own), tuple(group_answers(own)))


def same(*answers: str | None, mode: Mode = "prose", p: float = 0.5) -> list[tuple[str | None, Mode, float]]:
    return [(answer, mode, p) for answer in answers]


def row(found: Found, at: int) -> dict[str, float]:
    peers = Peers(search(found), UNKNOWN)
    return dict(peers.observe(at, peers.others(at)).numbers)


def revised(found: Found) -> dict[NodeId, Estimate]:
    return dict(fitted_portable().calibration.judge(PREFIX, search(found)).revised)


# Agreement


def test_the_numbers_of_agreement_by_hand() -> None:
    found = row([("18", "prose", 0.8), *same("18", "20", "20", "21", None)], 0)
    assert found["support"] == pytest.approx(np.log(1.5 / 4.5))  # one of five others
    assert found["lead"] == pytest.approx(-1 / np.sqrt(5))
    assert found["odds"] == pytest.approx(np.log(4))
    assert (found["both modes"], found["program"]) == (0, 0)
    both = [*same("18", "20"), *same("18", mode="program")]
    assert row(both, 2)["both modes"] == row(both, 2)["program"] == row(both, 0)["both modes"] == 1
    assert row(both, 1)["both modes"] == 0


@given(SOLUTIONS.filter(lambda found: any(answer for answer, _, _ in found)), st.integers(0, 8))
@settings(deadline=None, max_examples=40)
def test_a_solution_has_no_vote_on_itself(found: Found, at: int) -> None:
    """Among others that say something else, its estimate is the same whatever its answer is."""
    others = [(None if answer is None else f"{answer}7", mode, p) for answer, mode, p in found]
    at %= len(others)
    _, mode, p = found[at]
    one, other = (
        revised([*others[:at], (answer, mode, p), *others[at + 1 :]])[NodeId(at + 1)] for answer in ("3", "4")
    )
    assert one == other


@given(SOLUTIONS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_the_order_of_solutions_changes_no_estimate(found: Found, random: Random) -> None:
    found = [("18", "prose", 0.5), *found]
    shuffled = list(range(len(found)))
    random.shuffle(shuffled)
    before, after = revised(found), revised([found[at] for at in shuffled])
    for place, at in enumerate(shuffled):
        here, there = before.get(NodeId(at + 1)), after.get(NodeId(place + 1))
        assert (here is None) == (there is None) == (found[at][0] is None)
        if here is not None and there is not None:
            assert here.median == pytest.approx(there.median, abs=1e-12)


@given(SOLUTIONS, st.sampled_from(["prose", "program"]), st.floats(0.02, 0.98))
@settings(deadline=None, max_examples=40)
def test_more_agreement_never_lowers_an_estimate(found: Found, mode: Mode, p: float) -> None:
    found = [("18", "prose", 0.5), *found]
    before = revised(found)[NodeId(1)].median
    more = revised([*found, ("18", mode, p)])[NodeId(1)].median
    assert more >= before - 1e-12
    against = revised([*found, ("77", mode, p)])[NodeId(1)].median
    assert against <= more + 1e-12


def test_nothing_is_revised_where_one_stands_alone() -> None:
    assert revised(same("18")) == {}
    assert set(revised(same("18", None))) == {NodeId(1)}


def test_each_solution_is_judged_among_fewer_and_more_others() -> None:
    asked = problems(3, 50)
    data = without_states(training(asked, programs=3), [p.question for p in asked])
    config = HeadConfig(components=0, steps=5, folds=2)
    found = [*agreement_examples(data, fit_stages(data, "beta", config, 0)[1], 0)]
    answered = [sum(s.answer is not None for s in each.samples) for each in data.samples]
    sizes = [len(each.samples) for each in data.samples]
    assert len(found) == sum(a * (n - 1) for a, n in zip(answered, sizes, strict=True))
    assert sum(each.independent for each in found) == sum(answered)
    others = [each.observation.numbers["others"] for each in found]
    assert (min(others), max(others)) == (1, max(sizes) - 1)


def test_a_portable_calibration_compares_solutions_with_each_other_a_fitted_one_with_the_question() -> None:
    likely, likelier = (Estimate(p - 0.1, p, p + 0.1, calibrated=True) for p in (0.7, 0.8))
    found = (Candidate(NodeId(1), "18", likely), Candidate(NodeId(2), "18", likelier))
    asked = Estimate(0.1, 0.3, 0.5, calibrated=True)
    finished = FinishedSearch({"prose": asked}, found, tuple(group_answers(found)))
    portable, own = (fit.calibration.odds(finished) for fit in (fitted_portable(), fitted()))
    assert own == {c.node: log_odds(c.estimate.median) - log_odds(0.3) for c in found}
    assert portable[NodeId(1)] == -portable[NodeId(2)] < 0 < min(own.values())


# Text and states


def test_an_estimate_reads_no_state_of_the_model() -> None:
    calibration = fitted_portable().calibration
    [record] = searched(problems(1, 500)).values()
    noise = Reading(np.full(7, 9.0, np.float32), np.full(7, -9.0, np.float32))
    for node in record.tree:
        prefix = record.tree.prefix(node.id)
        steps = [
            replace(step, reading=replace(step.reading, last=noise.last, mean=noise.mean))
            for step in prefix.steps
            if step.reading is not None
        ]
        other = replace(prefix, prompt=noise, steps=tuple(steps))
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


# Several models


def test_the_rows_of_all_models_are_there_and_held_out_together() -> None:
    asked = [problems(8), problems(6, 100)]
    parts = [without_states(training(each, programs=2), [p.question for p in each]) for each in asked]
    both = join(parts)
    for stage, data in both.stages.items():
        first, second = (part.stages[stage] for part in parts)
        assert data.right.tolist() == [*first.right, *second.right]
        assert data.question.tolist() == [*first.question, *(second.question + 8)]
        assert data.drawn_by is not None
        assert data.drawn_by.tolist() == [0] * len(first.right) + [1] * len(second.right)
    for question in both.samples:
        for sample in question.samples:
            data = both.stages[FINISHED[sample.mode]]
            assert data.question[sample.row] == question.question
            assert data.right[sample.row] == sample.right * data.total[sample.row]


def test_the_estimates_of_a_model_are_by_the_others() -> None:
    """With other outcomes of one model, its own held-out estimates stay as they are."""
    asked = [problems(12), problems(12, 100), problems(12, 200)]
    parts = [without_states(training(each), [p.question for p in each]) for each in asked]
    stage = parts[0].stages["finished"]
    wrong = replace(parts[0], stages={**parts[0].stages, "finished": replace(stage, right=stage.right * 0)})
    config, own = HeadConfig(components=0, steps=20), len(stage.right)
    before, after = (
        fit_stages(join([part, *parts[1:]]), "quantile", config, 0)[1]["finished"].quantiles
        for part in (parts[0], wrong)
    )
    assert before[:own, 1] == pytest.approx(after[:own, 1], abs=0.02)  # weights are shared, outcomes are not
    assert np.abs(before[own:, 1] - after[own:, 1]).max() > 0.02


def test_it_is_measured_alike_with_states_and_without_them() -> None:
    asked = problems(20, 5000)
    own = training(asked, programs=2)
    bare = without_states(own, [problem.question for problem in asked])
    with_states, without = (measure(fitted_portable().calibration, data, 0) for data in (own, bare))
    assert with_states.keys() == without.keys() == {*own.stages, "answer", "agreement"}
    for stage, found in with_states.items():
        assert np.array_equal(found.quantiles, without[stage].quantiles)
    assert skill(with_states["agreement"]) > skill(with_states["finished"])


def test_agreement_has_skill_and_intervals_are_wide_on_a_model_that_was_not_fitted() -> None:
    """No interval is narrower than a Beta of concentration 8, in the mean over what was fitted."""
    held_out = fitted_portable().held_out
    assert skill(held_out["agreement"]) > 0.2
    near_even = set()
    for stage, found in held_out.items():
        middle = np.abs(found.quantiles[:, 1] - 0.5) < 0.1
        if middle.sum() > 20:
            widths = found.quantiles[middle, 2] - found.quantiles[middle, 0]
            assert widths.mean() > 0.3, stage
            near_even.add(stage)
    assert near_even >= {"finished", "question"}


# Size of the model


def test_larger_models_are_correct_more_often_up_to_an_end() -> None:
    rates = [rate_of_size(billions * 1e9) for billions in (0.135, 0.5, 1.5, 2.5)]
    assert rates == sorted(rates)
    assert rates[1] == pytest.approx(0.32, abs=0.01)
    assert rates[2] == pytest.approx(0.55, abs=0.01)
    assert rate_of_size(3e9) == rate_of_size(70e9) == pytest.approx(0.67, abs=0.01)
    assert rate_of_size(1e6) == rate_of_size(0.1e9) == pytest.approx(0.10, abs=0.01)
    assert rate_of_size(0) == UNKNOWN  # the file does not say


def test_what_stands_alone_counts_the_size() -> None:
    unknown = fitted_portable().calibration
    small = unknown.of_size(SMALL)
    [record] = searched(problems(1, 500)).values()
    question = Prefix(problems(1, 500)[0])
    before, after = (each.question(question).estimate for each in (unknown, small))
    assert logits(after) - logits(before) == pytest.approx(SHIFT)
    for node in list(record.tree)[1:]:
        alone, sized = (each.estimate(record.tree.prefix(node.id), 0.5) for each in (unknown, small))
        assert logits(sized) - logits(alone) == pytest.approx(SHIFT, abs=1e-6)
        assert (sized.lower, sized.upper) < (alone.lower, alone.upper)


@functools.cache
def shipped() -> PortableCalibration:
    """The one that ships."""
    found = load_artefact(shipped_folder() / f"portable{SUFFIX}").calibration
    assert isinstance(found, PortableCalibration)
    return found


def judged(
    answers: Sequence[str | None], alone: float, calibration: PortableCalibration
) -> tuple[float, float]:
    """Probabilities of the answer and of its first solution, all with such logits at even odds."""
    shift = float(logit(np.array(calibration.prior)))

    def estimate(at: float) -> Estimate:
        return Estimate.of_quantiles(sigmoid(np.array([at - 1, at, at + 1]) + shift))

    found = tuple(Candidate(NodeId(at + 1), answer, estimate(alone)) for at, answer in enumerate(answers))
    finished = FinishedSearch({"prose": estimate(0.0)}, found, tuple(group_answers(found)))
    said = calibration.judge(PREFIX, finished)
    assert said.confidence is not None
    return said.confidence.median, said.revised.get(found[0].node, found[0].estimate).median


@pytest.mark.parametrize("alone", [-5.0, -2.0, 1.0, 4.0])
@pytest.mark.parametrize("billions", [0.135, 0.5, 3])
def test_the_size_does_not_count_where_solutions_agree(billions: float, alone: float) -> None:
    before, after = (
        judged(["18"] * 3, alone, each) for each in (shipped(), shipped().of_size(billions * 1e9))
    )
    assert after == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("others", [["7"], [None], ["7", None], [None, None], ["7", "8", "9"]])
@pytest.mark.parametrize("billions", [0.135, 0.5, 3])
def test_no_solution_gains_by_others_that_do_not_agree(billions: float, others: list[str | None]) -> None:
    calibration = fitted_portable().calibration.of_size(billions * 1e9)
    alone, among = (judged(["18", *more], 0.0, calibration) for more in ([], others))
    assert max(among) <= max(alone) + 1e-9


@pytest.mark.parametrize("others", [[], ["7"], [None]])
@pytest.mark.parametrize("billions", [0.135, 0.5, 3])
def test_a_second_vote_raises_an_answer_whatever_the_size(billions: float, others: list[str | None]) -> None:
    calibration = shipped().of_size(billions * 1e9)
    for alone in (-2.0, 0.0, 2.0):
        one, two = (judged([*votes, *others], alone, calibration) for votes in (["18"], ["18", "18"]))
        assert two[0] > one[0]


def test_a_single_answer_counts_the_size() -> None:
    calibration = fitted_portable().calibration
    small, unknown, large = (
        judged(["18"], 0.0, each)[0]
        for each in (calibration.of_size(SMALL), calibration, calibration.of_size(3e9))
    )
    assert small < unknown - 0.1 < unknown < large


def test_it_is_measured_as_it_is_used() -> None:
    unknown = fitted_portable().calibration
    data = training(problems(20, 5000), programs=2)
    before, after = (measure(each, data, 0) for each in (unknown, unknown.of_size(SMALL)))

    def moved(stage: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return logit(after[stage].quantiles[:, 1]) - logit(before[stage].quantiles[:, 1])

    for stage in (*STAGES_OF["prose"], *STAGES_OF["program"]):
        # Logits of programs that fail are cut off.
        assert np.median(moved(stage)) == pytest.approx(SHIFT, abs=1e-6)
    alone = before["answer"].independent
    assert alone is not None
    assert moved("answer").max() < 1e-6  # nothing gains by a size that is small
    assert np.median(moved("answer")[alone]) == pytest.approx(SHIFT, abs=1e-6)
    assert np.median(moved("answer")[~alone]) == pytest.approx(0, abs=1e-6)


def test_a_fitted_calibration_knows_how_often_its_own_model_is_correct() -> None:
    calibration = fitted().calibration
    assert calibration.of_size(SMALL) is calibration
