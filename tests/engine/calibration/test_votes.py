"""The posterior of votes: what agreement is worth to a model of which nothing but its size is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.answers.choosing import Candidate, FinishedSearch, group_answers
from adascale.engine.calibration.votes import (
    FROM,
    NEUTRAL_FACT_NATS,
    NEUTRAL_NATS,
    UNTIL,
    FactPosterior,
    VotePosterior,
    rate_of_size,
)
from adascale.engine.ports import AnswerEstimates, Prefix
from adascale.engine.types import Estimate, Mode, NodeId, Problem

PREFIX = Prefix(Problem("p", "What is 9 * 2?"))
Found = Sequence[tuple[str | None, Mode]]
SOLUTIONS = st.lists(
    st.tuples(st.sampled_from(["18", "20", "21", None]), st.sampled_from(["prose", "program"])),
    min_size=1,
    max_size=9,
).filter(lambda found: any(answer is not None for answer, _ in found))
PRIORS = st.floats(0.05, 0.9)


def search(found: Found) -> FinishedSearch:
    score = Estimate(0.8, 0.8, 0.8, calibrated=False)
    own = tuple(Candidate(NodeId(at), answer, score, mode) for at, (answer, mode) in enumerate(found))
    return FinishedSearch({}, own, tuple(group_answers(own)))


def judged(found: Found, prior: float) -> AnswerEstimates:
    return VotePosterior(prior).judge(PREFIX, search(found))


def leader(found: Found, prior: float = 0.4) -> float:
    confidence = judged(found, prior).confidence
    assert confidence is not None
    return confidence.median


@given(SOLUTIONS, PRIORS)
def test_answers_share_one_probability_and_intervals_hold_it(found: Found, prior: float) -> None:
    finished = search(found)
    estimates = judged(found, prior).revised
    assert estimates.keys() == {c.node for c in finished.candidates if c.answer is not None}
    assert sum(estimates[group.nodes[0]].median for group in finished.groups) <= 1 + 1e-9
    for each in estimates.values():
        assert 0 <= each.lower <= each.median <= each.upper <= 1
        assert each.calibrated
    for group in finished.groups:
        assert len({estimates[node] for node in group.nodes}) == 1


@given(SOLUTIONS, PRIORS)
def test_the_order_of_solutions_says_nothing(found: Found, prior: float) -> None:
    def by_answer(found: Found) -> dict[str, float]:
        finished = search(found)
        revised = judged(found, prior).revised
        return {group.answer: revised[group.nodes[0]].median for group in finished.groups}

    assert by_answer(found) == pytest.approx(by_answer(found[::-1]))


@pytest.mark.parametrize("prior", [rate_of_size(0.01e9), 0.2, 0.4, rate_of_size(70e9)])
@pytest.mark.parametrize("mode", ["prose", "program"])
def test_each_vote_for_an_answer_raises_it(prior: float, mode: Mode) -> None:
    chances = [leader([("18", mode)] * votes, prior) for votes in range(1, 9)]
    assert chances == sorted(chances)


@pytest.mark.parametrize("prior", [rate_of_size(0.01e9), 0.2, 0.4, rate_of_size(70e9)])
def test_a_program_that_agrees_with_prose_raises_it_for_models_of_every_size(prior: float) -> None:
    assert leader([("18", "prose"), ("18", "program")], prior) > prior


def test_one_solution_alone_is_worth_the_prior() -> None:
    for prior in (0.1, 0.4, 0.8):
        for mode in ("prose", "program"):
            assert leader([("18", mode)], prior) == pytest.approx(prior)


def test_programs_that_agree_with_each_other_say_least() -> None:
    prose, program = [("18", "prose")] * 2, [("18", "program")] * 2
    across: Found = [("18", "program"), ("18", "prose")]
    assert min(leader(across), leader(prose)) > leader(program) > 0.4


def test_agreement_says_less_about_a_fact() -> None:
    found = search([("Sydney", "prose")] * 4)
    fact = replace(PREFIX, problem=replace(PREFIX.problem, kind="fact"))
    of_value = VotePosterior(0.4).judge(PREFIX, found).confidence
    of_fact = FactPosterior(0.4).judge(fact, found).confidence
    assert of_value is not None
    assert of_fact is not None
    assert 0.4 < of_fact.median < of_value.median


def of_nats(*nats: float | None) -> float:
    """Probability of an answer whose solutions have these negative log-likelihoods."""
    found = search([("18", "prose")] * len(nats))
    own = [replace(each, nll=n) for each, n in zip(found.candidates, nats, strict=True)]
    return VotePosterior(0.4).judge(PREFIX, replace(found, candidates=tuple(own))).revised[NodeId(0)].median


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=4))
def test_the_less_likely_a_solution_is_the_less_it_speaks_for_its_answer(nats: list[float]) -> None:
    chances = [of_nats(each) for each in sorted(nats)]
    assert chances == sorted(chances, reverse=True)
    assert 0.05 < chances[-1] <= chances[0] < 0.9, "one solution alone decides nothing"


def test_a_usual_likelihood_and_one_that_is_not_known_say_nothing() -> None:
    assert of_nats(NEUTRAL_NATS) == pytest.approx(of_nats(None))


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=4), st.integers(1, 64))
def test_the_less_likely_each_word_of_a_fact_is_the_less_it_speaks_for_it(
    nats: list[float], tokens: int
) -> None:
    def chance(nll: float | None) -> float:
        found = search([("Oslo", "prose")])
        own = tuple(replace(each, nll=nll, tokens=tokens) for each in found.candidates)
        return FactPosterior(0.4).judge(PREFIX, replace(found, candidates=own)).revised[NodeId(0)].median

    chances = [chance(each) for each in sorted(nats)]
    assert chances == sorted(chances, reverse=True)
    assert chance(NEUTRAL_FACT_NATS * tokens) == pytest.approx(chance(None))


def test_solutions_without_an_answer_and_other_answers_speak_against_it() -> None:
    alone: Found = [("18", "prose")]
    assert leader([*alone, ("20", "prose")]) < leader(alone)
    agreed: Found = [("18", "prose"), ("18", "program")]
    assert leader([*agreed, (None, "program")]) < leader(agreed)


def test_steps_have_scores_and_a_question_the_prior() -> None:
    known = VotePosterior(0.3)
    assert known.estimate(PREFIX, 0.7) == Estimate(0.7, 0.7, 0.7, calibrated=False)
    asked = known.question(PREFIX).estimate
    assert asked is not None
    assert asked.median == 0.3
    assert asked.lower < 0.1
    assert asked.upper > 0.6


def test_a_larger_model_is_right_more_often_up_to_an_end() -> None:
    rates = [rate_of_size(billions * 1e9) for billions in (0.34, 0.5, 1.5, 2.5)]
    assert rates == sorted(rates)
    assert rate_of_size(1e6) == rate_of_size(FROM)
    assert rate_of_size(70e9) == rate_of_size(UNTIL)
    assert rate_of_size(0) == 0.5, "a file that does not say"
    assert 0.2 < rate_of_size(1e6) < 0.3
    assert 0.6 < rate_of_size(70e9) < 0.7
