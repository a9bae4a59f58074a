"""Looks and solutions that a calibration of questions with options is fitted on."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain, repeat
from unittest.mock import Mock

from event_logs import ticking

from adascale.engine.errors import DecodeAbortedError
from adascale.engine.kinds.messages import problem_of
from adascale.engine.ports import Seen, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.models.calibration.option_draws import OptionDraws
from bench.scripted import ScriptedPolicy, scripted_step


def test_an_interrupt_of_a_look_ends_the_draws_and_keeps_those_before_it() -> None:
    """Each question is looked at after its solutions, outside of any search."""
    asked = [problem_of(str(n), f"Which is {n}?\nA. this\nB. that") for n in range(3)]
    problems = [replace(problem, answer="A") for problem in asked]
    policy = ScriptedPolicy(lambda prefix, rng: scripted_step("Answer: A", "stop"), slots=2)
    looks = chain(repeat(Seen((math.log(0.7), math.log(0.3))), 2), [DecodeAbortedError("stopped")])
    drawn = OptionDraws(
        session=Mock(),
        problems=problems,
        samples=2,
        seed=0,
        policy=Mock(look=Mock(side_effect=looks)),
        driver=Driver(policy, SequenceLogprob(), {}, ticking()),
    ).draw()
    assert [each.problem.id for each in drawn] == ["0"]
