"""What more search is worth, in numbers that can be checked by hand or by playing the votes on at random."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from adascale.engine.answers import lookahead as module
from adascale.engine.answers.posterior import Lookahead, ModeState, Support, log_odds, look_ahead
from adascale.engine.types import Estimate, Mode

SPREAD = 6.0
SPREADS: Mapping[Mode, float] = {"prose": 6.0, "program": 2.5}


def question(p: float) -> Estimate:
    return Estimate(max(0.0, p - 0.3), p, min(1.0, p + 0.3), calibrated=True)


def ahead(asked: Estimate, found: list[Support], finished: int) -> Lookahead:
    """In prose; the supports have the odds of their estimates, not yet over the question's."""
    over = [replace(each, odds=each.odds - log_odds(asked.median)) for each in found]
    return look_ahead({"prose": ModeState(asked, finished, SPREAD)}, over, 16)["prose"]


def gain(asked: Estimate, found: list[Support], finished: int) -> float:
    return ahead(asked, found, finished).gain


def supports(*votes: int) -> list[Support]:
    return [Support({"prose": n}, 0.0) for n in votes]


def test_an_agreed_answer_leaves_nothing_to_be_gained() -> None:
    assert gain(question(0.7), supports(2), 2) > gain(question(0.7), supports(4), 4)
    assert abs(gain(question(0.7), supports(8), 8)) < 0.002


def test_trajectories_without_an_answer_speak_against_the_question() -> None:
    """Seen on 586 questions: after one of two without an answer .55 of the chance is left, after two .2."""
    chances = []
    for misses in (0, 1, 2):
        a, b = module._beta(ModeState(question(0.2), misses, SPREAD), [], "prose")
        chances.append(a / (a + b) / 0.2)
    assert chances == pytest.approx([1, 1 / 2, 1 / 3])
    doubted, plain = (ahead(question(0.4), found, 3) for found in (supports(1), supports(1, 1, 1)))
    assert doubted.reach < plain.reach


@pytest.mark.parametrize("mode", ["prose", "program"])
@pytest.mark.parametrize(
    "votes", [[(1, 0)], [(2, 0), (1, 0)], [(2, 1), (0, 2), (1, 0)], [(1, 0), (0, 1), (1, 1)]]
)
def test_the_votes_played_on_at_random_agree(
    votes: list[tuple[int, int]], mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Draw which answer is right, its rate and the next trajectories, and count who leads then."""
    monkeypatch.setattr(module, "AHEAD", (8,))
    found = [Support({"prose": prose, "program": program}, 0.0) for prose, program in votes]
    drawn = {
        each: sum(answer.votes[each] for answer in found) + 1 for each in SPREADS
    }  # one without an answer
    states = {each: ModeState(question(0.5), drawn[each], SPREADS[each]) for each in SPREADS}
    a, b = module._beta(states[mode], found, mode)
    posterior = module.posterior(states, found)
    rng = random.Random(0)
    games = 20_000
    won = 0.0
    for _ in range(games):
        at = rng.choices(range(len(posterior)), posterior)[0]
        right = found[at] if at < len(found) else Support({}, 0.0)
        others = [*found[:at], *found[at + 1 :]]
        own, total = right.votes.get(mode, 0), right.total
        guests, rivals = [other.votes[mode] for other in others], [other.total for other in others]
        rate = rng.betavariate(a + own, b + sum(guests))
        for _ in range(8):
            if rng.random() < rate:
                total += 1
                continue
            table = rng.choices(range(len(guests) + 1), [*guests, SPREADS[mode]])[0]
            if table == len(guests):
                guests, rivals = [*guests, 0], [*rivals, 0]
            guests[table] += 1
            rivals[table] += 1
        rival = max(rivals, default=0)
        won += (total > rival) + (total == rival > 0) / 2
    expected = (won / games - posterior[0]) / 8
    assert look_ahead(states, found, 16)[mode].gain == pytest.approx(expected, abs=0.0015)
