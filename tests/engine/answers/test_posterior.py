"""P(right) of each answer, against the same draws played at random."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from adascale.engine.answers import posterior as module
from adascale.engine.answers.posterior import ModeState, Support, posterior
from adascale.engine.types import Estimate, Mode

SPREAD = 6.0


def question(p: float) -> Estimate:
    return Estimate(max(0.0, p - 0.3), p, min(1.0, p + 0.3), calibrated=True)


@pytest.mark.parametrize("found", ["A", "AA", "AAB", "ABC", "AABAC"])
def test_it_is_what_draws_at_random_say(found: str) -> None:
    """A rate of the question, right solutions at that rate, wrong ones as guests of a Chinese restaurant."""
    rng = random.Random(0)
    right_is = Counter[str]()
    for _ in range(100_000):
        rate = rng.betavariate(3.0 * 0.4, 3.0 * 0.6)
        tables: list[int] = []
        names: dict[int, str] = {}  # of the right answer, -1, and of each table, in the order of the letters
        for letter in found:
            if rng.random() < rate:
                seat = -1
            else:
                seat = rng.choices(range(len(tables) + 1), [*tables, SPREAD])[0]
                tables += [0] * (seat == len(tables))
                tables[seat] += 1
            if names.setdefault(seat, "ABCDE"[len(names)]) != letter:
                break
        else:
            right_is[names.get(-1, "none")] += 1

    votes = Counter(found)
    supports = [Support({"prose": votes[letter]}, 0.0) for letter in sorted(votes)]
    chances = posterior({"prose": ModeState(question(0.4), len(found), SPREAD)}, supports)

    total = right_is.total()
    assert total > 500
    played = [right_is[letter] / total for letter in [*sorted(votes), "none"]]
    assert chances == pytest.approx(played, abs=2.5 / total**0.5)


def test_an_answer_of_two_modes_is_likelier_than_one_with_as_many_votes_of_one() -> None:
    finished: dict[Mode, int] = {"prose": 3, "program": 1}
    states = {mode: ModeState(question(0.5), n, SPREAD) for mode, n in finished.items()}
    of_both, of_one = Support({"prose": 1, "program": 1}, 0.0), Support({"prose": 2}, 0.0)
    agreed, repeated, _ = posterior(states, [of_both, of_one])
    assert agreed > repeated


def test_trajectories_without_an_answer_speak_against_the_question() -> None:
    """Seen on 586 questions: after one of two without an answer .55 of the chance is left, after two .2."""
    chances = []
    for misses in (0, 1, 2):
        a, b = module._beta(ModeState(question(0.2), misses, SPREAD), [], "prose")
        chances.append(a / (a + b) / 0.2)
    assert chances == pytest.approx([1, 1 / 2, 1 / 3])
