"""The level of a model on its user's questions: by agreement, and by answers that are known."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from event_logs import records_of

from adascale.engine.calibration.votes import NEUTRAL_NATS, VotePosterior, shifted
from adascale.engine.fitting.level import level_by_agreement, shift_by_answers
from adascale.engine.ports import Prefix
from adascale.engine.search.driver import Driver
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Margin, Vote
from adascale.engine.types import Problem, Step
from bench.scripted import ScriptedPolicy, ScriptedPRM, scripted_step


def searches(right: float, strategy: Vote | Margin, questions: int = 200) -> Sequence[Record]:
    """Searches of a model that is correct so often, more so on some questions; mistakes seldom come twice."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        own = random.Random(prefix.problem.id).betavariate(2 * right, 2 * (1 - right))
        answer = 18 if rng.random() < own else rng.randint(100, 120)
        return scripted_step(f"Answer: {answer}.", "stop", -NEUTRAL_NATS)

    driver = Driver(ScriptedPolicy(script, 8), ScriptedPRM(lambda _: 0.5), {}, lambda: 0.0)
    asked = [Problem(str(at), "?") for at in range(questions)]
    return list(records_of(driver.run(asked, Settings(strategy))).values())


@pytest.mark.parametrize("strategy", [Vote(4), Vote(16), Margin(16)])
@pytest.mark.parametrize(("right", "prior"), [(0.8, 0.5), (0.2, 0.5), (0.5, 0.5)])
def test_agreement_says_how_often_a_model_is_correct(
    right: float, prior: float, strategy: Vote | Margin
) -> None:
    found = level_by_agreement(VotePosterior(prior), searches(right, strategy))
    assert found == pytest.approx(right, abs=0.15)


def test_a_search_without_any_answer_counts_as_wrong() -> None:
    def script(prefix: Prefix, rng: random.Random) -> Step:
        return scripted_step("Well.", "stop")

    driver = Driver(ScriptedPolicy(script, 8), ScriptedPRM(lambda _: 0.5), {}, lambda: 0.0)
    records = records_of(driver.run([Problem("p", "?")], Settings(Vote(4)))).values()
    assert level_by_agreement(VotePosterior(0.5), list(records)) == 0.0


def test_known_answers_move_the_level_towards_them_and_no_further_than_a_logit() -> None:
    prior = 0.5
    assert shift_by_answers(prior, [prior] * 10) == pytest.approx(0.0)
    assert prior < shifted(prior, shift_by_answers(prior, [0.6] * 10)) < 0.6
    assert shift_by_answers(prior, [0.6] * 100) > shift_by_answers(prior, [0.6] * 10)
    assert shift_by_answers(prior, [1.0] * 10) == 1.0
    assert shift_by_answers(prior, [0.0] * 10) == -1.0
    assert math.isclose(shift_by_answers(prior, [0.25] * 10), -shift_by_answers(prior, [0.75] * 10))
