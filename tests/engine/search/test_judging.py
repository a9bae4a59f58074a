"""A search whose answers are judged by a real fit, from the first branch on."""

from __future__ import annotations

import pytest
from scripted import ScriptedExecutor, records_of, ticking
from worlds import ReadingPolicy, execute, fitted, problems, solve

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.ports import SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.strategies import Adaptive
from adascale.engine.types import Schedule


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 4])
def test_a_fit_judges_the_first_program_before_the_prompt_of_prose_is_read(width: int) -> None:
    fit = Posterior(head=fitted(programs=3)[0])
    policy, programs = ReadingPolicy(solve, width), ScriptedExecutor(execute)
    driver = Driver(policy, SequenceLogprob(), {"value": fit}, ticking(), executor=programs)
    settings = Settings(Adaptive(modes=("prose", "program")), schedule=Schedule.even(width))
    for record in records_of(driver.run(problems(8), settings)).values():
        assert record.result is not None
        assert record.result.confidence is not None
        assert record.result.confidence.calibrated
