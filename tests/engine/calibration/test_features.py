"""Evidence about a prefix."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from adascale.engine.calibration.features import Observation, observe
from adascale.engine.ports import Prefix
from adascale.engine.types import Execution, Problem, Reading, Step

PROBLEM = Problem("p", "?", "18")


def reading(*values: float) -> Reading:
    last, mean = np.array(values, np.float32), np.array(values, np.float32) * 2
    return Reading(last, mean, min_logprob=-values[0], entropy=values[1])


STEPS = (
    Step("add\n\n", (1, 2), -1.0, "step", reading(3, 0.5)),
    Step("so\n\n", (1, 2, 3, 4, 5, 6), -4.0, "step", reading(2, 0.1)),
)
PROMPT = reading(9, 0)


def seen(*steps: Step, reward: float = 0.5, prompt: Reading | None = PROMPT) -> Observation:
    return observe(Prefix(PROBLEM, steps, prompt), reward)


def test_the_numbers_of_a_prefix_by_hand() -> None:
    found = seen(*STEPS)
    assert found.numbers == pytest.approx(
        {
            "steps": math.log(2),
            "tokens": math.log(8),
            "step_tokens": math.log(6),
            "logprob": -5 / 8,
            "min_logprob": -3,
            "step_logprob": -4 / 6,
            "step_min_logprob": -2,
            "entropy": (0.5 * 2 + 0.1 * 6) / 8,
            "step_entropy": 0.1,
            "cut_off": 0,
            "reward": 0,
        }
    )
    states = {"question": [9, 0], "last": [2, 0.1], "mean": [4, 0.2]}
    states["path"] = [(6 * 2 + 4 * 6) / 8, (1 * 2 + 0.2 * 6) / 8]
    assert found.states.keys() == states.keys()
    for name, expected in states.items():
        assert found.states[name] == pytest.approx(expected)
    assert found.offset == 0


def test_a_limit_a_reward_and_a_wrong_sum_are_seen() -> None:
    cut = seen(STEPS[0], replace(STEPS[1], finish="length"), reward=0.8)
    assert cut.numbers["cut_off"] == 1
    assert cut.numbers["reward"] == pytest.approx(np.log(4))
    assert np.isfinite([seen(*STEPS, reward=reward).numbers["reward"] for reward in (0.0, 1.0)]).all()
    wrong = seen(replace(STEPS[0], wrong_sums=("7 * 8 = 54",)), STEPS[1])
    assert (wrong.numbers, wrong.offset) == (seen(*STEPS).numbers, -2.5)
    begun = Prefix(replace(PROBLEM, question="What is 7 * 8?"), STEPS, PROMPT)
    ended = replace(begun, steps=(*STEPS, replace(STEPS[1], finish="stop")))
    assert observe(begun, 0.5).offset == 0, "it may still use 7 and 8"
    assert observe(ended, 0.5).offset < 0


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [("18", (1, 1)), ("-2.5", (0, 1)), ("1/3", (0, 1)), ("yes", (0, 0)), (None, (0, 0))],
)
def test_a_program_is_known_by_its_output(answer: str | None, numbers: tuple[int, int]) -> None:
    ran = Execution(answer or "", "" if answer else "ZeroDivisionError", 0.0)
    found = observe(Prefix(PROBLEM, STEPS[:1], PROMPT, "program", ran), 0.5)
    assert (found.numbers["whole"], found.numbers["number"]) == numbers
    assert (found.offset < 0) == (answer is None)
