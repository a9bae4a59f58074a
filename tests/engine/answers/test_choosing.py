"""Choosing among finished trajectories."""

from __future__ import annotations

import pytest

from adascale.engine.answers.choosing import (
    Candidate,
    choose,
    equal_answers,
    group_answers,
)
from adascale.engine.types import Estimate, NodeId


def candidate(node: int, answer: str | None, score: float) -> Candidate:
    return Candidate(NodeId(node), answer, Estimate(score, score, score, calibrated=False))


MAJORITY = [
    candidate(1, "18", 0.2),
    candidate(2, "18.0", 0.3),
    candidate(3, "20", 0.9),
    candidate(4, None, 1.0),
]


def test_equal_answers_are_one_group_led_by_its_best_spelling() -> None:
    groups = group_answers(MAJORITY)
    assert [(g.answer, g.nodes) for g in groups] == [("18.0", (2, 1)), ("20", (3,))]
    assert [g.share for g in groups] == [2 / 3, 1 / 3]


@pytest.mark.parametrize(
    ("simple", "other"),
    [
        ("16/63", "0.253968253968"),
        ("12", "(15 * 80)/100"),
        ("3", "x = 3"),
        ("18", "18 dollars every day"),
    ],
)
def test_the_simplest_of_equal_answers_is_shown(simple: str, other: str) -> None:
    [group] = group_answers([candidate(1, other, 0.9), candidate(2, simple, 0.5)])
    assert (group.answer, group.nodes) == (simple, (1, 2))


def test_prose_is_shown_rather_than_a_program_with_the_same_answer() -> None:
    result = choose(
        [candidate(1, "18", 0.9), candidate(2, "18", 0.2)],
        "vote",
        mode_of={1: "program", 2: "prose"}.__getitem__,
    )  # type: ignore[arg-type]
    assert (result.best, result.confidence and result.confidence.median) == (2, 0.9)


def test_places_of_equal_answers_come_by_votes_then_by_the_first() -> None:
    assert equal_answers(["7", None, "18", "20", "18.0", "20.0", "5"]) == [[2, 4], [3, 5], [0], [6]]
    assert equal_answers([None]) == []


def test_a_tie_of_a_vote_goes_to_the_first_drawn_whatever_the_estimates() -> None:
    tied = [candidate(1, "18", 0.2), candidate(2, "20", 0.4)]
    assert choose(tied, "vote").answer == "18"
    assert choose(tied, "weighted").answer == "20"


def test_best_of_n_takes_the_best_candidate_that_has_an_answer() -> None:
    result = choose(MAJORITY, "best")
    assert (result.answer, result.best, result.groups[0].answer) == ("20", 3, "20")


def test_without_an_answer_the_best_text_is_shown() -> None:
    result = choose([candidate(1, None, 0.2), candidate(2, None, 0.6)], "vote")
    assert (result.answer, result.best) == (None, 2)
