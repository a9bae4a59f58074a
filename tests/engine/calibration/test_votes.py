"""Weights of votes that are fitted: on worlds whose level and words are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scripted import judging

from adascale.engine.answers.choosing import Candidate
from adascale.engine.calibration.metrics import brier
from adascale.engine.calibration.posterior import SPREADS, STRENGTH, Posterior, shifted
from adascale.engine.calibration.votes import _PROMPT, Solved, _searched, fit_votes
from adascale.engine.types import Estimate, Mode, NodeId

USUAL = judging("value", 0.5)
WORDS = USUAL.votes.words
assert WORDS is not None
_SCORE = Estimate(0.5, 0.5, 0.5, calibrated=False)


def search(
    level: float, rng: np.random.Generator, power: float = WORDS.power, *, is_silent: bool = False
) -> Solved:
    """Three programs and three solutions in prose, drawn as the posterior believes they are."""
    off = rng.choice([-1.0, 0.0, 1.0]) * USUAL.votes.difficulty
    modes: tuple[Mode, ...] = ("program", "prose")
    found: list[tuple[Candidate, bool]] = []
    for mode in modes:
        mean = shifted(level, off)
        rate, wrong = rng.beta(STRENGTH * mean, STRENGTH * (1.0 - mean)), list[str]()
        for _ in range(3):
            node, is_right = NodeId(len(found)), rng.random() < rate
            is_new = rng.random() * (len(wrong) + SPREADS[mode]) >= len(wrong)
            answer = "18" if is_right else f"{mode}{node}" if is_new else str(rng.choice(wrong))
            wrong += [] if is_right else [answer]
            # Of two normal distributions with this distance the odds have the power.
            shift = 0.5 * power * 0.5**2 * (-1 if is_right else 1)
            nats = math.exp(math.log(WORDS.neutral) + shift + 0.5 * rng.normal())
            found.append((Candidate(node, answer, _SCORE, mode, nll=None if is_silent else nats), is_right))
    return found


def world(count: int, level: float, seed: int, power: float = WORDS.power) -> list[Solved]:
    rng = np.random.default_rng(seed)
    return [search(level, rng, power) for _ in range(count)]


def loss(judge: Posterior, searches: list[Solved]) -> float:
    """Log-loss of the answers that would be chosen."""
    rng, losses = np.random.default_rng(0), []
    for each in searches:
        for finished, is_right in _searched(each, rng):
            confidence = judge.judge(_PROMPT, finished).confidence
            assert confidence is not None
            losses.append(-math.log(max(confidence.median if is_right else 1 - confidence.median, 1e-3)))
    return float(np.mean(losses))


@pytest.mark.parametrize(("level", "low", "high"), [(0.5, 0.3, 0.7), (0.9, 0.55, 0.97), (0.1, 0.03, 0.45)])
def test_the_level_moves_to_that_of_the_model_and_does_no_harm(level: float, low: float, high: float) -> None:
    weights, _ = fit_votes(world(30, level, 0), USUAL, 0)
    assert weights.prior is not None
    assert low < weights.prior < high
    fresh = world(40, level, 100)
    fitted, usual = (
        loss(each, fresh) for each in (replace(USUAL, prior=weights.prior, votes=weights), USUAL)
    )
    assert fitted < usual + (0.03 if level == 0.5 else -0.01)


def test_the_odds_of_words_follow_what_they_are_worth() -> None:
    powers = []
    for power in (0.0, 3.0):
        weights, _ = fit_votes(world(40, 0.5, 1, power), USUAL, 0)
        assert weights.words is not None
        powers.append(weights.words.power)
    assert powers[0] < WORDS.power < powers[1]


def test_without_likelihoods_the_odds_stay_the_usual_ones() -> None:
    rng = np.random.default_rng(0)
    weights, _ = fit_votes([search(0.8, rng, is_silent=True) for _ in range(20)], USUAL, 0)
    assert weights.words == WORDS
    assert weights.prior is not None
    assert weights.prior > 0.5


def test_figures_are_of_questions_that_their_weights_have_not_seen() -> None:
    searches = world(20, 0.9, 2)
    _, held_out = fit_votes(searches, USUAL, 0)
    assert set(held_out.question) == set(range(20))
    assert brier(held_out) < 0.25
    # Another outcome of one question changes the estimates of others, and not its own.
    other = [[(each, not is_right) for each, is_right in searches[0]], *searches[1:]]
    _, again = fit_votes(other, USUAL, 0)
    own = held_out.question == 0
    assert (held_out.quantiles[own] == again.quantiles[own]).all()
    assert (held_out.quantiles[~own] != again.quantiles[~own]).any()
