"""``adaptive`` for a model that nobody fitted, in worlds where programs help, crash, or repeat a mistake."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest
from scripted import Fitted, ScriptedExecutor, around, judging, records_of

from adascale.engine.answers.choosing import FinishedSearch
from adascale.engine.ports import AnswerEstimates, Prefix, QuestionEstimate, SequenceLogprob
from adascale.engine.request import Conditions, SearchRequest, Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import ModelDescription
from adascale.engine.search.record import Record
from adascale.engine.strategies import Adaptive, Vote
from adascale.engine.types import Estimate, Execution, Mode, Problem, SamplingChange, Step
from bench.scripted import ScriptedPolicy, scripted_step

Draw = Callable[[random.Random], str]
"""Answer of one solution."""

BOTH: tuple[Mode, ...] = ("program", "prose")


def at(rate: float, wrong: str | None = None) -> Draw:
    """Right as often; else one mistake, or a mistake of its own."""
    return lambda rng: "18" if rng.random() < rate else (wrong or str(rng.randint(100, 10**6)))


def run(source: str) -> Execution:
    first, _, second = source.removeprefix("print(").removesuffix(")").partition(" + ")
    return Execution(str(int(first) + int(second)), "", 0.0)


def searched(draw: Mapping[Mode, Draw], strategy: Adaptive, prior: float = 0.55) -> Record:
    def script(prefix: Prefix, rng: random.Random) -> Step:
        answer = draw[prefix.mode](rng)
        if prefix.mode == "prose":
            return scripted_step(f"Answer: {answer}.", "stop", -30.0 - rng.random())
        return scripted_step(f"```python\nprint({int(answer) - 1} + 1)\n```", "stop", -30.0 - rng.random())

    driver = Driver(
        ScriptedPolicy(script, 4),
        SequenceLogprob(),
        {"value": judging("value", prior)},
        lambda: 0.0,
        executor=ScriptedExecutor(run),
    )
    asked = Problem("q", "What is 9 * 2?", "18")
    return Record.of(event for _, event in driver.run([asked], Settings(strategy, width=1)))


def modes(record: Record) -> list[Mode]:
    return [candidate.mode for candidate in record.candidates]


def test_programs_and_prose_that_agree_are_enough() -> None:
    record = searched({"prose": at(1), "program": at(1)}, Adaptive(4, lead=4, modes=BOTH))
    assert modes(record) == ["program", "program", "prose"], "the fourth could change nothing"
    assert record.answer == "18"
    assert record.confidence is not None
    assert record.confidence.calibrated
    assert record.confidence.median > 0.6


def test_programs_that_repeat_a_mistake_do_not_win_against_prose_that_is_right() -> None:
    record = searched({"prose": at(1), "program": at(0, wrong="36")}, Adaptive(lead=99, modes=BOTH))
    assert set(modes(record)) == {"program", "prose"}
    assert record.confidence is not None
    assert record.confidence.median < 0.6, "two answers with as many votes"


@pytest.mark.parametrize("prior", [0.13, 0.3, 0.6])
def test_where_nothing_agrees_the_number_says_so_however_large_the_model(prior: float) -> None:
    record = searched({"prose": at(0), "program": at(0)}, Adaptive(modes=BOTH), prior)
    assert record.result is not None
    assert record.result.stop_reason != "confident"
    assert record.confidence is not None
    assert record.confidence.median < 0.3


class Sure(Fitted):
    """A fitted calibrator that takes every answer for correct."""

    unfitted = judging("value", 0.5)  # type: ignore[assignment]

    def question(self, prefix: Prefix) -> QuestionEstimate:
        return QuestionEstimate(around(0.99))

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        return around(0.99)

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        return AnswerEstimates(around(0.99))


def test_a_sampler_of_ones_own_makes_a_fitted_number_one_of_votes() -> None:
    driver = Driver(
        ScriptedPolicy(lambda prefix, rng: scripted_step("Answer: 18.", "stop", -30.0), 4),
        SequenceLogprob(),
        {"value": Sure()},
        lambda: 0.0,
    )
    described = ModelDescription(
        calibration={"level": "fitted", "modes": ["prose"]}, sampling={"temperature": 0.8, "top_p": 0.95}
    )
    conditions = Conditions(described, (), unfitted={"level": "prior", "modes": ["prose"]})
    usual, hotter = SamplingChange(temperature=0.8, max_tokens=9), SamplingChange(temperature=1.2)
    found = []
    for change in (usual, hotter):
        settings = SearchRequest(strategy=Vote(2), sampling=change).settings(Problem("q", ""), conditions)
        [record] = records_of(driver.run([Problem("q", "What is 9 * 2?")], settings)).values()
        assert record.result is not None
        assert record.result.confidence is not None
        found.append(record)
        level = record.started.models.level, [notice.code for notice in record.notices]
        assert level == (("prior", ["another-sampler"]) if change is hotter else ("fitted", []))
    fitted, by_votes = (record.result.confidence.median for record in found)
    assert fitted == 0.99
    assert by_votes < 0.95


class SureOutOfDistribution(Sure):
    """Takes every answer for correct, to a question that is unlike what it was fitted on."""

    def question(self, prefix: Prefix) -> QuestionEstimate:
        return QuestionEstimate(around(0.99), out_of_distribution=True)


def test_votes_judge_a_question_unlike_those_that_were_fitted() -> None:
    driver = Driver(
        ScriptedPolicy(lambda prefix, rng: scripted_step("Answer: 18.", "stop", -30.0), 4),
        SequenceLogprob(),
        {"value": SureOutOfDistribution()},
        lambda: 0.0,
    )
    settings = Settings(Adaptive(2), models=ModelDescription(calibration={"level": "fitted"}))
    [record] = records_of(driver.run([Problem("q", "What is 9 * 2?")], settings)).values()
    assert [notice.code for notice in record.notices] == ["out-of-distribution"]
    assert record.level == "prior"
    assert record.result is not None
    assert record.result.confidence is not None
    assert record.result.confidence.median < 0.95
