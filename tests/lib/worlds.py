"""Worlds whose truth is known, for calibrations: bare numbers, or searches that leave readings behind."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scripted import ScriptedExecutor, ScriptedPolicy, logs_of, scripted_step, ticking

from adascale.engine.calibration.features import Observation, States
from adascale.engine.calibration.fit import (
    Example,
    Training,
    answer_examples,
    fit_calibration,
    predictions,
)
from adascale.engine.calibration.head import Calibration
from adascale.engine.calibration.metrics import Predictions, StageReport, report
from adascale.engine.calibration.posterior import Array
from adascale.engine.ports import Prefix, PrefixWork, SequenceLogprob
from adascale.engine.request import Conditions
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event, GeneratorDescription, ModelDescription
from adascale.engine.search.record import Record
from adascale.engine.types import Execution, Mode, Problem, Reading, Step
from adascale.models.calibration.rollouts import DrawPlan
from adascale.models.calibration.training import training_set

WIDTH = 6


def scored(
    p: Array,
    right: Array,
    total: Array | None = None,
    question: NDArray[np.int64] | None = None,
) -> Predictions:
    """Every row its own question and one outcome, unless said otherwise."""
    p, right = np.asarray(p, float), np.asarray(right, float)
    quantiles = np.column_stack([p, p, p])
    names = np.arange(len(p)) if question is None else np.asarray(question)
    return Predictions(
        names, quantiles, right, np.ones(len(p)) if total is None else np.asarray(total, float)
    )


@st.composite
def tables(draw: st.DrawFn) -> Predictions:
    """Up to 30 prefixes of up to 8 questions, with ties among the estimates."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(2, 30))
    question = rng.integers(0, draw(st.integers(1, 8)), n)
    quantiles = np.sort(rng.integers(0, 11, (n, 3)) / 10, axis=1)
    total = rng.integers(1, 6, n)
    return Predictions(
        question, quantiles, rng.binomial(total, rng.random(n)).astype(float), total.astype(float)
    )


def examples(
    numbers: Array,
    right: Array,
    total: Array | None = None,
    question: NDArray[np.int64] | None = None,
    states: Mapping[str, States] | None = None,
    offset: Array | None = None,
) -> list[Example]:
    """Rows of ``[n, columns]`` numbers; every row its own question and one outcome, unless said otherwise."""
    total = np.ones(len(numbers)) if total is None else total
    question = np.arange(len(numbers)) if question is None else question
    found = []
    for at, row in enumerate(numbers):
        seen = Observation(
            {f"x{i}": x for i, x in enumerate(row)},
            {name: block[at] for name, block in (states or {}).items()},
            0.0 if offset is None else offset[at],
        )
        found.append(Example(seen, int(question[at]), right[at], total[at]))
    return found


def beta_world(
    questions: int, prefixes: int = 3, total: int = 4, kappa: float = 8.0
) -> tuple[list[Example], Array]:
    """Success probabilities that are Beta around a logistic mean; also ``[n]`` that mean.

    The logit of the mean is a direction of the question's state, one of the prefix's, and one scalar.
    """
    rng = np.random.default_rng(0)
    question = np.repeat(np.arange(questions), prefixes)
    n = len(question)
    hard, good, sure = rng.normal(0, 1, questions)[question], rng.normal(0, 1, n), rng.normal(0, 1, n)
    mean = 1 / (1 + np.exp(-(1.2 * hard + 0.8 * good + 0.5 * sure)))
    p = rng.beta(mean * kappa, (1 - mean) * kappa)
    outcomes = rng.integers(1, total + 1, n)
    states = {
        name: (along[:, None] * direction + rng.normal(0, 0.05, (n, WIDTH))).astype(np.float32)
        for name, along, direction in (
            ("question", hard, rng.normal(0, 1, WIDTH)),
            ("last", good, rng.normal(0, 1, WIDTH)),
        )
    }
    numbers = np.column_stack([sure, np.ones(n)])
    return examples(numbers, rng.binomial(outcomes, p), outcomes, question, states=states), mean


def ease(problem: Problem) -> float:
    """Logit of success of a question's first thought, from its text."""
    return random.Random(problem.question).gauss(0.4, 1.5)


def reading(level: float, rng: random.Random) -> Reading:
    """States that tell ``level`` along two of their axes, with some noise."""
    last, mean = (np.array([rng.gauss(0, 0.3) for _ in range(WIDTH)], np.float32) for _ in range(2))
    last[0] += level
    mean[1] += level
    return Reading(last, mean, -abs(rng.gauss(0, 1)), rng.random())


def program(prefix: Prefix, rng: random.Random) -> Step:
    """A program that is right as often as the question is easy, or repeats one mistake, or fails."""
    level = 0.8 * ease(prefix.problem) + 0.5
    wrong = ["print(36)", "print(36)", "1 / 0"]
    text = "print(18)" if rng.random() < 1 / (1 + math.exp(-level)) else rng.choice(wrong)
    step = scripted_step(f"```python\n{text}\n```", "stop", -rng.random())
    return replace(step, reading=reading(level, rng))


def execute(source: str) -> Execution:
    """Execute one of those programs."""
    return Execution("", "ZeroDivisionError", 0.0) if "/" in source else Execution(source[6:8], "", 0.0)


def solve(prefix: Prefix, rng: random.Random) -> Step:
    """One to three steps; every guess among them costs success, and so does running on."""
    if prefix.mode == "program":
        return program(prefix, rng)
    level = ease(prefix.problem) - 1.5 * sum(step.text.startswith("guess") for step in prefix.steps)
    if len(prefix.steps) >= rng.randint(1, 3):
        wrong = [("Answer: 20.", "stop"), ("Answer: 21.", "stop"), ("hm", "stop"), ("on", "length")]
        right = rng.random() < 1 / (1 + math.exp(-level))
        text, finish = ("Answer: 18.", "stop") if right else rng.choice(wrong)
        step = scripted_step(text, finish, -rng.random())
    else:
        step = scripted_step(rng.choice(["add\n\n", "multiply\n\n", "guess\n\n"]), "step", -rng.random())
        level -= 1.5 * step.text.startswith("guess")
    return replace(step, reading=reading(level, rng))


def sloppy(prefix: Prefix, rng: random.Random) -> Step:
    """A thought, two sums of which half are wrong, and an answer that is right if both sums are."""
    if len(prefix.steps) < 3:
        slips = rng.random() < 0.5 and len(prefix.steps) > 0
        text = ("9 + 9 = 17\n\n" if slips else "9 + 9 = 18\n\n") if prefix.steps else "Two of them.\n\n"
        return replace(scripted_step(text), reading=reading(0.0, rng))
    wrong = any("17" in step.text for step in prefix.steps)
    return replace(scripted_step(f"Answer: {17 if wrong else 18}.", "stop"), reading=reading(0.0, rng))


class ReadingPolicy(ScriptedPolicy):
    """Reads a question's ease off its prompt."""

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """The prompt with a reading."""
        cost = super().open(problem, mode)
        rng = random.Random(f"prompt {problem.question}{mode if mode != 'prose' else ''}")
        return replace(cost, reading=reading(ease(problem), rng))


def problems(count: int, start: int = 0) -> list[Problem]:
    """Questions whose answer is 18."""
    return [Problem(f"q{i}", f"What is twice {i}?", "18") for i in range(start, start + count)]


CONDITIONS = Conditions(ModelDescription(GeneratorDescription("tiny")), ())


def drawn(
    asked: Sequence[Problem], samples: int = 4, slots: int = 8, programs: int = 0
) -> dict[str, list[Event]]:
    """Logs of rollouts of every question, by id."""
    driver = Driver(
        ReadingPolicy(solve, slots), SequenceLogprob(), {}, ticking(), executor=ScriptedExecutor(execute)
    )
    return logs_of(driver.run(asked, DrawPlan(samples, 0, programs).settings(CONDITIONS)))


def searched(
    asked: Sequence[Problem], samples: int = 4, slots: int = 8, programs: int = 0
) -> dict[str, Record]:
    """The same as records."""
    return {id_: Record.of(log) for id_, log in drawn(asked, samples, slots, programs).items()}


def training(asked: Sequence[Problem], programs: int = 0) -> Training:
    """The same as training data, of both modes if there are programs."""
    by_id = searched(asked, programs=programs)
    return training_set([by_id[problem.id] for problem in asked])


@functools.cache
def fitted(programs: int = 0) -> tuple[Calibration, dict[str, Predictions]]:
    """A quick fit on the first questions; the same one for every test that asks."""
    return fit_calibration(training(problems(60), programs), seed=0)


def measured(calibration: Calibration, data: Training) -> dict[str, Predictions]:
    """Estimates of a calibration on other questions, by stage."""
    found: dict[str, Predictions] = {
        stage: predictions(calibration.models[stage], own) for stage, own in data.stages.items()
    }
    answers = [*answer_examples(data.samples, found, calibration.spreads, seed=0)]
    return {**found, "answer": predictions(calibration.models["answer"], answers)}


@functools.cache
def fitted_report() -> dict[str, StageReport]:
    """How good that fit is on its own questions, each held out."""
    return report(fitted()[1])
