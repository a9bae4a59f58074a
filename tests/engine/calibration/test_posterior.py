"""The posterior of answers: against draws played at random, and what agreement and words are worth to it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import judging

from adascale.engine.answers.choosing import Candidate, FinishedSearch, group_answers
from adascale.engine.calibration.posterior import (
    FROM,
    SPREADS,
    UNTIL,
    VOTES,
    Posterior,
    of_votes,
    rate_of_size,
)
from adascale.engine.ports import AnswerEstimates, Prefix
from adascale.engine.types import Estimate, KindName, Mode, NodeId, Problem

PREFIX = Prefix(Problem("p", "What is twice 9?"))
Found = Sequence[tuple[str | None, Mode]]
SOLUTIONS = st.lists(
    st.tuples(st.sampled_from(["18", "20", "21", None]), st.sampled_from(["prose", "program"])),
    min_size=1,
    max_size=9,
).filter(lambda found: any(answer is not None for answer, _ in found))
PRIORS = st.floats(0.05, 0.9)
SIZES = [rate_of_size(0.01e9), 0.2, 0.4, rate_of_size(70e9)]


def search(found: Found) -> FinishedSearch:
    score = Estimate(0.8, 0.8, 0.8, calibrated=False)
    own = tuple(Candidate(NodeId(at), answer, score, mode) for at, (answer, mode) in enumerate(found))
    return FinishedSearch({}, own, tuple(group_answers(own)))


def judged(found: Found, prior: float, kind: KindName = "value") -> AnswerEstimates:
    return judging(kind, prior).judge(PREFIX, search(found))


def leader(found: Found, prior: float = 0.4, kind: KindName = "value") -> float:
    confidence = judged(found, prior, kind).confidence
    assert confidence is not None
    return confidence.median


def chances(found: Found, prior: float) -> list[float]:
    finished = search(found)
    odds = dict.fromkeys((each.node for each in finished.candidates), 0.0)
    return of_votes(finished, dict.fromkeys({mode for _, mode in found}, prior), odds, SPREADS)


@pytest.mark.parametrize("found", ["A", "AA", "AAB", "ABC", "AABAC"])
def test_it_is_what_draws_at_random_say(found: str) -> None:
    """A rate of the question, right solutions at that rate, wrong ones as guests of a Chinese restaurant."""
    rng = random.Random(0)
    right_is = Counter[str]()
    for _ in range(40_000):
        rate = rng.betavariate(3.0 * 0.4, 3.0 * 0.6)
        tables: list[int] = []
        names: dict[int, str] = {}  # of the right answer, -1, and of each table, in the order of the letters
        for letter in found:
            if rng.random() < rate:
                seat = -1
            else:
                seat = rng.choices(range(len(tables) + 1), [*tables, SPREADS["prose"]])[0]
                tables += [0] * (seat == len(tables))
                tables[seat] += 1
            if names.setdefault(seat, "ABCDE"[len(names)]) != letter:
                break
        else:
            right_is[names.get(-1, "none")] += 1
    expected = chances([(letter, "prose") for letter in found], 0.4)
    total = right_is.total()
    assert total > 500
    groups = [group.answer for group in search([(letter, "prose") for letter in found]).groups]
    played = [right_is[letter] / total for letter in [*groups, "none"]]
    assert expected == pytest.approx(played, abs=2.5 / total**0.5)


def test_an_answer_of_two_modes_is_likelier_than_one_with_as_many_votes_of_one() -> None:
    of_both, of_one, _ = chances([("A", "prose"), ("A", "program"), ("B", "prose"), ("B", "prose")], 0.5)
    assert of_both > of_one


@given(SOLUTIONS, PRIORS)
def test_answers_share_one_probability_whatever_the_order_of_solutions(found: Found, prior: float) -> None:
    finished = search(found)
    estimates = judged(found, prior).revised
    assert estimates.keys() == {c.node for c in finished.candidates if c.answer is not None}
    by_answer = {group.answer: estimates[group.nodes[0]] for group in finished.groups}
    assert sum(each.median for each in by_answer.values()) <= 1 + 1e-9
    for each in estimates.values():
        assert 0 <= each.lower <= each.median <= each.upper <= 1
        assert each.calibrated
    for group in finished.groups:
        assert len({estimates[node] for node in group.nodes}) == 1
    turned = judged(found[::-1], prior).revised
    assert {group.answer: turned[group.nodes[0]].median for group in search(found[::-1]).groups} == (
        pytest.approx({answer: each.median for answer, each in by_answer.items()})
    )


@pytest.mark.parametrize("prior", SIZES)
@pytest.mark.parametrize("mode", ["prose", "program"])
def test_each_vote_for_an_answer_raises_it(prior: float, mode: Mode) -> None:
    alone = [leader([("18", mode)] * votes, prior) for votes in range(1, 9)]
    assert alone == sorted(alone)
    assert alone[0] == pytest.approx(prior, abs=0.05), "one solution alone is worth about the prior"
    assert leader([("18", "prose"), ("18", "program")], prior) > prior, "for models of every size"


def test_programs_that_agree_with_each_other_say_less_than_prose_that_does_and_facts_least() -> None:
    prose, program = [("18", "prose")] * 2, [("18", "program")] * 2
    across: Found = [("18", "program"), ("18", "prose")]
    assert min(leader(across), leader(prose)) > leader(program) > 0.4
    sydney: Found = [("Sydney", "prose")] * 4
    assert 0.4 < leader(sydney, kind="fact") < leader(sydney)


def test_solutions_without_an_answer_and_other_answers_speak_against_it() -> None:
    alone: Found = [("18", "prose")]
    assert leader([*alone, ("20", "prose")]) < leader(alone)
    agreed: Found = [("18", "prose"), ("18", "program")]
    assert leader([*agreed, (None, "program")]) < leader(agreed)


def test_programs_that_fail_say_less_against_those_that_agree_than_other_answers_do() -> None:
    agree: Found = [("22:32", "program")] * 2
    failed: Found = [(None, "program")] * 3
    different: Found = [(time, "program") for time in ("22:12", "21:52", "33:45")]
    assert leader(agree, 0.6) > leader(agree + failed, 0.6) > leader(agree + different, 0.6)


@pytest.mark.parametrize(("kind", "tokens"), [("value", 9), ("fact", 1), ("fact", 64)])
@given(nats=st.lists(st.floats(0, 1e4), min_size=2, max_size=4))
def test_the_less_likely_its_words_are_the_less_a_solution_speaks_for_its_answer(
    kind: KindName, tokens: int, nats: list[float]
) -> None:
    def chance(nll: float | None) -> float:
        found = search([("18", "prose")])
        own = tuple(replace(each, nll=nll, tokens=tokens) for each in found.candidates)
        return judging(kind, 0.4).judge(PREFIX, replace(found, candidates=own)).revised[NodeId(0)].median

    found = [chance(each) for each in sorted(nats)]
    assert found == sorted(found, reverse=True)
    words = VOTES[kind].words
    assert words is not None
    usual = words.neutral * (tokens if words.by_token else 1)
    assert chance(usual) == pytest.approx(chance(None)), "a usual likelihood says as much as none"
    if kind == "value":
        assert 0.05 < found[-1] <= found[0] < 0.9, "one solution alone decides nothing"


@pytest.mark.parametrize("nll", [None, 20.0])
def test_a_solution_that_leaves_out_a_number_says_less_for_its_answer(nll: float | None) -> None:
    def chance(unused: bool) -> float:
        found = search([("18", "prose"), ("20", "program")])
        own = [replace(each, nll=nll) for each in found.candidates]
        own[0] = replace(own[0], leaves_out=unused)
        return judging("value", 0.4).judge(PREFIX, replace(found, candidates=tuple(own))).revised[0].median

    assert chance(unused=True) < chance(unused=False) - 0.05


def test_without_a_fit_steps_have_scores_and_a_question_the_prior() -> None:
    known = judging("value", 0.3)
    assert known.estimate(PREFIX, 0.7) == Estimate(0.7, 0.7, 0.7, calibrated=False)
    asked = known.question(PREFIX)
    assert asked is not None
    assert asked.median == 0.3
    assert asked.lower < 0.1
    assert asked.upper > 0.6
    for kind in ("call", "json"):
        assert judging(kind, 0.3).question(PREFIX) is None


def test_a_larger_model_is_right_more_often_up_to_an_end() -> None:
    rates = [rate_of_size(billions * 1e9) for billions in (0.34, 0.5, 1.5, 2.5)]
    assert rates == sorted(rates)
    assert 0.2 < rate_of_size(1e6) == rate_of_size(FROM) < 0.3
    assert 0.6 < rate_of_size(70e9) == rate_of_size(UNTIL) < 0.7
    assert rate_of_size(0) == 0.5, "a file that does not say"
    assert Posterior.of_model("value", 70e9).prior == rate_of_size(70e9)
    assert Posterior.of_model("fact", 70e9).prior == VOTES["fact"].prior, "whatever the size"
