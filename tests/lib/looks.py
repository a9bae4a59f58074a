"""Scripted searches of questions with options, in which a look favours one of them, and their calibration."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from adascale.engine.answers.choosing import PROFILES
from adascale.engine.answers.weighing import OptionWeights
from adascale.engine.calibration.options import OptionsCalibration
from adascale.engine.execution import Execution
from adascale.engine.kinds.base import Look
from adascale.engine.kinds.messages import problem_of
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import EFFORTS, ModeChoice, Strategy
from adascale.engine.types import Problem, Step
from bench.scripted import ScriptedExecutor, ScriptedPolicy, scripted_step

PLANETS = problem_of("1", "Which planet is the largest?\nA. Mars\nB. Jupiter")
PRIME = problem_of("1", "Is 91 prime?")
WEIGHTS = OptionWeights(1.0, 0.0, {"prose": 0.6, "program": 0.9}, 1.0, 0.2)
CALIBRATION = OptionsCalibration(WEIGHTS, {mode: PROFILES[mode] for mode in ("prose", "program")})


def search(
    problem: Problem,
    p: float,
    says: str = "Answer: B",
    strategy: Strategy | None = None,
    calibration: OptionsCalibration = CALIBRATION,
    mode: ModeChoice = "prose",
) -> tuple[Record, list[Event]]:
    """A search, one solution after another, in which a look favours Jupiter, or no, with this probability."""

    def see(look: Look) -> Sequence[float]:
        favoured = 1 if look.prompt == "look-yes-no" else int("Jupiter" in look.text.splitlines()[-1])
        if look.prompt == "look-choice" and look.words[0] == "B":
            favoured = 1 - favoured
        return [math.log(p if at == favoured else 1 - p) for at in range(2)]

    def script(prefix: Prefix, rng: random.Random) -> Step:
        text = f"```python\nprint({says[8:]!r})\n```" if prefix.mode == "program" else says
        return scripted_step(text, "stop")

    policy = ScriptedPolicy(script)
    policy.looks = see
    calibrators = {"choice": calibration, "yes-no": calibration}
    executor = ScriptedExecutor(lambda program: Execution(says[8:], "", 0.1))
    driver = Driver(policy, SequenceLogprob(), calibrators, lambda: 0.0, executor=executor)  # type: ignore[arg-type]
    settings = Settings(strategy or EFFORTS[problem.kind]["medium"], width=1).for_problem(problem, mode, ())
    log = [event for _, event in driver.run([problem], settings)]
    return Record.of(log), log
