"""``adaptive`` with the portable calibration that ships, in worlds whose truth is known.

No test depends on its numbers: it is fitted again as there are more models.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from event_logs import records_of

from adascale.engine.calibration.calibration import Calibration
from adascale.engine.ports import Prefix, PrefixWork, SequenceLogprob
from adascale.engine.scripted import ScriptedPolicy, scripted_step
from adascale.engine.search.driver import Driver
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Adaptive, Strategy, Vote
from adascale.engine.types import Estimate, Mode, Problem, Reading, Step
from adascale.models.calibration.artefact import Fingerprint, load_artefact
from adascale.models.calibration.installed import read_installed, shipped_folder

NO_STATE = np.zeros(0, np.float32)
TOKENS = tuple(range(40))


@cache
def portable() -> Calibration:
    [path] = shipped_folder().glob("portable.*")
    return load_artefact(path).calibration


def solve(rates: Mapping[str, float], *, alone: bool) -> Callable[[Prefix, random.Random], Step]:
    """Four steps; the last is right at the question's rate, and then a little more certain of its tokens.

    Wrong answers are often the same ones, but where each stands ``alone``.
    """

    def script(prefix: Prefix, rng: random.Random) -> Step:
        is_last = len(prefix.steps) == 3
        is_right = rng.random() < rates[prefix.problem.id]
        certain = rng.gauss(0.0, 1.0) + 0.5 * (is_last and is_right)
        logprob = -len(TOKENS) * math.exp(-1.8 - 0.4 * certain)
        other = rng.randint(10**3, 10**9) if alone else rng.choice([9, 20, 21, 24, 36, rng.randint(100, 999)])
        answer = 18 if is_right else other
        text, finish = (f"Answer: {answer}.", "stop") if is_last else ("add\n\n", "step")
        reading = Reading(
            NO_STATE, NO_STATE, -0.2 - abs(rng.gauss(1.2, 0.8)), 0.25 * math.exp(-0.3 * certain)
        )
        return replace(
            scripted_step(text, finish, logprob), token_ids=TOKENS, logprob=logprob, reading=reading
        )

    return script


class BlindPolicy(ScriptedPolicy):
    """Keeps no states, as a model without a calibration of its own."""

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        return replace(super().open(problem, mode), reading=Reading(NO_STATE, NO_STATE))


def searched(
    rates: Mapping[str, float],
    strategy: Strategy,
    *,
    alone: bool = False,
    calibration: Calibration | None = None,
) -> list[Record]:
    asked = [
        Problem(name, f"How many apples does she have if there are {n} in each of the {n + 3} boxes?", "18")
        for n, name in enumerate(rates)
    ]
    policy, calibration = BlindPolicy(solve(rates, alone=alone), 8), calibration or portable()
    driver = Driver(policy, SequenceLogprob(), {"value": calibration}, lambda: 0.0)
    records = records_of(driver.run(asked, Settings(strategy)))
    return list(records.values())


def drawn(records: list[Record]) -> float:
    return float(np.mean([len(record.candidates) for record in records]))


def accuracy(records: list[Record]) -> float:
    return float(np.mean([record.answer == "18" for record in records]))


def same(rate: float, count: int = 40) -> dict[str, float]:
    return {f"q{n}": rate for n in range(count)}


def width(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.upper - estimate.lower


def test_a_model_that_nobody_fitted_gets_it() -> None:
    unknown = Fingerprint("0" * 64, "", "probe", "1" * 64, {"temperature": 0.8}, 2048)
    found = read_installed().find(unknown)
    assert found is not None
    assert (found.card.level, found.card.name) == ("portable", "portable")
    assert read_installed().find(replace(unknown, kind="code")) is None
    assert read_installed().find(replace(unknown, prm="2" * 64, prm_format="token")) is None


def test_an_easy_question_gets_little_and_a_hard_one_more() -> None:
    easy, fair, hard = (drawn(searched(same(rate, 15), Adaptive())) for rate in (1.0, 0.6, 0.15))
    assert easy <= 4
    assert easy < fair < hard
    assert hard >= 2 * easy


def test_agreement_moves_estimates_and_the_first_ones_are_wide() -> None:
    [record] = searched(same(1.0, 1), Vote(8))
    [question] = record.tree.questions.values()
    assert width(question) > 0.5
    for candidate in record.candidates:
        alone, last = candidate.estimate, record.tree[candidate.node].estimate
        assert last is not None
        assert last.median > alone.median
        assert width(last) < width(alone)
    assert record.confidence is not None
    assert record.confidence.median > 0.8


def test_solutions_that_never_agree_come_to_little() -> None:
    def estimates(rate: float) -> list[float]:
        records = searched(same(rate, 8), Vote(8), alone=True)
        ends = [record.tree[candidate.node].estimate for record in records for candidate in record.candidates]
        return [each.median for each in ends if each is not None]

    assert max(estimates(0.0)) < 0.6 < min(estimates(1.0))


@pytest.mark.slow
@pytest.mark.parametrize("billions", [0.1, 0.5, 3])
def test_the_size_of_a_model_does_not_hide_what_it_knows(billions: float) -> None:
    """A small one gets less where it is seldom right; where it always is, agreement says so at once."""
    sized = portable().of_size(billions * 1e9)
    easy = searched(same(1.0), Adaptive(), calibration=sized)
    assert accuracy(easy) == 1
    assert drawn(easy) <= 4
    hard, unknown = (drawn(searched(same(0.15), Adaptive(), calibration=each)) for each in (sized, None))
    assert hard <= unknown


@pytest.mark.slow
def test_it_is_no_worse_than_counting_as_many_votes() -> None:
    rng = random.Random(5)
    rates = {f"q{n}": rng.betavariate(*(0.8, 0.6) if n % 2 else (0.4, 1.6)) for n in range(400)}
    adaptive = searched(rates, Adaptive())
    votes = searched(rates, Vote(math.ceil(drawn(adaptive))))
    assert accuracy(adaptive) >= accuracy(votes) - 0.005
