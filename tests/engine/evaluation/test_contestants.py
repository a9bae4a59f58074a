"""What takes part in an evaluation, as typed."""

from __future__ import annotations

import pytest

from adascale.engine.errors import UsageError
from adascale.engine.evaluation.evaluate import parse_contestants
from adascale.engine.request import SearchRequest
from adascale.engine.strategies import (
    EFFORTS,
    Adaptive,
    Beam,
    BestOfN,
    Margin,
    Passing,
    Strategy,
    Vote,
)
from adascale.engine.strategies.sampling import Readings
from adascale.engine.types import KindName


def test_contestants_say_what_they_fix() -> None:
    request = SearchRequest(samples=9, beams=3, branching=5, lead=5)
    text = (
        "vote:4, vote,beam:16+km,beam,best-of-n:8+n,adaptive,adaptive@low,adaptive:4@high,vote@low,margin:3,"
        "vote:8/program,adaptive/both,passing,passing:3,passing@low,"
        "vote:4+redraw,best-of-n:8+n+redraw,margin:2/both+redraw"
    )
    found = {each.name: each.strategy for each in parse_contestants(text, request)}
    assert found == {
        "vote:4": Vote(4),
        "vote": Vote(9),
        "beam:16+km": Beam(4, 4, adapt="km"),
        "beam": Beam(3, 5),
        "best-of-n:8+n": BestOfN(8, adapt="n"),
        "adaptive": Adaptive(9, lead=5),
        "adaptive@low": EFFORTS["value"]["low"],
        "adaptive:4@high": EFFORTS["value"]["high"].changed(samples=4),
        "vote@low": Vote(8),
        "margin:3": Margin(9, lead=3),
        "vote:8/program": Vote(8, modes=("program",)),
        "adaptive/both": Adaptive(9, lead=5, modes=("prose", "program")),
        "passing": Passing(9, hopeless=0.15),
        "passing:3": Passing(3, hopeless=0.15),
        "passing@low": Passing(4, hopeless=0.3),
        "vote:4+redraw": Vote(4, redraws=2),
        "best-of-n:8+n+redraw": BestOfN(8, adapt="n", redraws=2),
        "margin:2/both+redraw": Margin(9, lead=2, modes=("prose", "program"), redraws=2),
    }


def test_a_contestant_that_names_no_mode_searches_as_a_question_does() -> None:
    found = {each.name: each.is_auto for each in parse_contestants("adaptive,adaptive/prose,margin:2/both")}
    assert found == {"adaptive": True, "adaptive/prose": False, "margin:2/both": False}


def test_an_effort_has_the_numbers_of_the_kind_that_is_searched() -> None:
    def strategies(text: str, kind: KindName) -> list[Strategy]:
        return [each.strategy for each in parse_contestants(text, kind=kind)]

    assert strategies("adaptive,adaptive@low", "choice") == [
        EFFORTS["choice"]["medium"],
        EFFORTS["choice"]["low"],
    ]
    assert strategies("agreement,agreement@high", "call") == [
        EFFORTS["call"]["medium"],
        EFFORTS["call"]["high"],
    ]
    assert strategies("adaptive@max,readings:3", "json") == [EFFORTS["json"]["max"], Readings(3)]
    assert strategies("adaptive", "call") == [EFFORTS["call"]["medium"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no strategy takes part"),
        ("vote:4,vote:4", "twice"),
        ("vots", "no strategy"),
        ("adaptive@hardest", 'no effort called "hardest"'),
        ("vote:x", "is not a strategy"),
        ("vote:0", "at least one"),
        ("beam:5", "do not fit"),
        ("greedy:3", "do not fit"),
        ("vote+k", "no such rule"),
        ("greedy+n", "no such rule"),
        ("beam+none", "no such rule"),
        ("beam+redraw", "chooses among steps"),
    ],
)
def test_a_contestant_that_is_none_is_explained(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_contestants(text)
    assert said in caught.value.message
