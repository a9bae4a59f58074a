"""``adaptive`` in worlds whose truth is known: when it ends, which modes it draws, what it cuts.

Without a fit programs help, crash, or repeat a mistake.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import (
    Believing,
    Fitted,
    Script,
    ScriptedPolicy,
    around,
    ended,
    judging,
    log_of,
    one_by_one,
    records_of,
    scripted_step,
)
from worlds import execute

from adascale.engine.answers.choosing import FinishedSearch
from adascale.engine.calibration.posterior import UNCALIBRATED, Posterior
from adascale.engine.ports import AnswerEstimates, Prefix, SequenceLogprob
from adascale.engine.request import Conditions, SearchRequest, Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import AnswersJudged, BranchStarted, Event, ModelDescription, NodesPruned
from adascale.engine.search.record import Record, replay
from adascale.engine.strategies import Adaptive, BestOfN, Strategy, Vote, preset
from adascale.engine.types import Estimate, Execution, Mode, Problem, SamplingChange, Step, Turn

ALL_OF_THEM = 100
"""A lead that is never reached."""


search = partial(log_of, judge=UNCALIBRATED, reward=lambda prefix: 0.5, execute=execute)


def finished(log: list[Event]) -> int:
    return Record.of(log).tree.standing.finished


@pytest.mark.parametrize(
    ("answers", "samples", "reason", "counted"),
    [
        ("AAA", 16, "confident", 3),
        ("ABAAA", 16, "confident", 5),
        ("ABABAABAA", 16, "confident", 9),
        ("AAA", 4, "confident", 3),
        ("AABAA", 5, "settled", 4),  # the fifth could change nothing
        ("ABACBC", 6, "exhausted", 6),
        ("..", 16, "exhausted", 2),  # nothing to compare them by
        (".AAA", 16, "confident", 4),
    ],
)
def test_a_lead_ends_it_or_that_no_vote_can_change_the_answer(
    answers: str, samples: int, reason: str, counted: int
) -> None:
    log = one_by_one(answers, Adaptive(samples, lead=3))
    assert (ended(log).result.stop_reason, finished(log)) == (reason, counted)


def world(right: float) -> Script:
    """One step, then 18 with probability ``right``, else a wrong answer that hardly ever comes twice."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        if not prefix.steps:
            return scripted_step("add\n\n")
        answer = 18 if rng.random() < right else rng.randint(10**3, 10**9)
        return scripted_step(f"Answer: {answer}.", "stop")

    return script


class Believed(Believing):
    """Gives every answer this probability."""

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        return AnswerEstimates(around(self._p(prefix.mode)))


@pytest.mark.parametrize(
    ("calibrator", "reason", "counted"),
    [
        (Believed(0.02), "hopeless", 5),
        (Believed(0.1), "exhausted", 10),
        (UNCALIBRATED, "exhausted", 10),  # a score is no probability
    ],
)
def test_it_gives_up_after_half_of_them_where_its_answer_is_hardly_ever_right(
    calibrator: Posterior, reason: str, counted: int
) -> None:
    strategy = Adaptive(10, hopeless=0.05, cut=0.0)
    log = search(world(0.0), strategy, width=1, judge=calibrator, reward=lambda prefix: 0.01)
    assert (ended(log).result.stop_reason, finished(log)) == (reason, counted)


def of_modes(rates: Mapping[Mode, float]) -> Script:
    """18 at the rate of its mode; else a mistake of its own in prose, and a program that fails."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        right = rng.random() < rates[prefix.mode]
        if prefix.mode == "program":
            return scripted_step(f"```python\nprint({18 if right else '1 / 0'})\n```", "stop")
        return scripted_step(f"Answer: {18 if right else rng.randint(100, 10**6)}.", "stop")

    return script


@pytest.mark.parametrize("width", [1, 3, None])
@pytest.mark.parametrize("modes", [("prose", "program"), ("program", "prose")])
def test_programs_and_prose_take_turns_programs_first(modes: tuple[Mode, ...], width: int | None) -> None:
    strategy = Adaptive(6, lead=ALL_OF_THEM, modes=modes)
    log = search(of_modes({"prose": 0, "program": 1}), strategy, width=width)
    drawn = [event.mode for event in log if isinstance(event, BranchStarted)]
    assert drawn == ["program", "prose"] * (len(drawn) // 2) + ["program"] * (len(drawn) % 2)
    assert len(drawn) >= 4


@pytest.mark.parametrize(
    ("modes", "rate", "programs"),
    [(("program", "prose"), 0.0, 3), (("program",), 0.0, 16), (("program", "prose"), 0.7, 7)],
)
def test_after_three_programs_that_fail_and_none_that_does_not_the_rest_is_prose(
    modes: tuple[Mode, ...], rate: float, programs: int
) -> None:
    strategy = Adaptive(16, lead=ALL_OF_THEM, modes=modes)
    log = search(of_modes({"prose": 0, "program": rate}), strategy, width=1, seed=3)
    drawn = [event.mode for event in log if isinstance(event, BranchStarted)]
    assert drawn.count("program") == programs


def test_prose_answers_for_the_programs_of_a_date_that_run_at_once_and_all_fail() -> None:
    strategy = preset("date", "medium").changed(modes=("program", "prose"))
    assert ended(search(of_modes({"prose": 1, "program": 0}), strategy, width=8)).result.answer == "18"


def test_a_misjudging_prm_does_not_overrule_those_that_agree() -> None:
    """Wrong answers get .9 and right ones .4, but no two wrong ones are the same."""

    def misled(prefix: Prefix) -> float:
        return 0.4 if "18" in prefix.steps[-1].text else 0.9

    for seed in range(20):
        votes, best = (
            search(world(0.6), strategy, seed=seed, reward=misled, judge=Believing(0.5))
            for strategy in (Adaptive(16), BestOfN(16))
        )
        assert ended(votes).result.answer == "18" != ended(best).result.answer


@pytest.mark.parametrize(
    ("calibrator", "estimate", "cuts"),
    [(Believing(0.9), 0.05, 6), (Believing(0.9), 0.2, 0), (UNCALIBRATED, 0.05, 0)],
)
def test_a_trajectory_that_will_not_succeed_is_cut_and_leaves_its_place(
    calibrator: Posterior, estimate: float, cuts: int
) -> None:
    def lost(prefix: Prefix) -> float:
        return estimate if len(prefix.steps) == 1 else 0.5

    log = search(world(1.0), Adaptive(6), width=2, reward=lost, judge=calibrator)
    cut = [
        event for event in log if isinstance(event, NodesPruned) and event.reason == "less than 10 % likely"
    ]
    assert sum(len(event.nodes) for event in cut) == cuts
    if cuts:
        assert finished(log) == 6
        assert all(node.status != "terminal" for node in replay(log))


def slipping(at_all: float) -> Script:
    """A step, a sum that is wrong with this probability, and an answer that takes the sum as it is."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        if not prefix.steps:
            return scripted_step("There are two of them.\n\n")
        if len(prefix.steps) == 1:
            return scripted_step("9 + 9 = 17\n\n" if rng.random() < at_all else "9 + 9 = 18\n\n")
        return scripted_step("Answer: 18." if "18" in prefix.steps[1].text else "Answer: 17.", "stop")

    return script


@pytest.mark.parametrize("strategy", [Adaptive(6, lead=ALL_OF_THEM), Vote(6)])
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 6))
@settings(max_examples=10, deadline=None)
def test_a_step_that_slips_is_drawn_again_and_it_goes_on(
    strategy: Strategy, seed: int, slots: int, width: int
) -> None:
    for at_all, redraws in ((0.6, 50), (0.6, 0), (1.0, 2)):
        changed = replace(strategy, redraws=redraws)
        log = search(slipping(at_all), changed, seed=seed, slots=slots, width=width)
        cut = [event for event in log if isinstance(event, NodesPruned)]
        slips = [event for event in cut if event.reason == "9 + 9 = 17 is wrong"]
        standing = [event.result for event in log if isinstance(event, AnswersJudged)][-1]
        assert standing.finished == standing.replies  # each of them ends once, whatever was cut
        answers = {group.answer: len(group.nodes) for group in ended(log).result.groups}
        assert sum(answers.values()) == standing.finished
        if redraws == 50:
            assert answers.keys() == {"18"}
        elif redraws == 2:
            assert answers.keys() == {"17"}
            assert len(slips) >= 2 * standing.finished
        else:
            assert not slips


def test_a_slip_in_the_first_step_is_left_to_the_votes() -> None:
    def script(prefix: Prefix, rng: random.Random) -> Step:
        return scripted_step("Answer: 18.", "stop") if prefix.steps else scripted_step("9 + 9 = 17\n\n")

    log = search(script, Adaptive(), width=4)
    assert not any(isinstance(event, NodesPruned) for event in log)
    assert ended(log).result.answer == "18"


BOTH: tuple[Mode, ...] = ("program", "prose")


def sums(source: str) -> Execution:
    first, _, second = source.removeprefix("print(").removesuffix(")").partition(" + ")
    return Execution(str(int(first) + int(second)), "", 0.0)


def searched(draw: Mapping[Mode, Callable[[random.Random], str]], strategy: Strategy) -> Record:
    def script(prefix: Prefix, rng: random.Random) -> Step:
        answer = draw[prefix.mode](rng)
        if prefix.mode == "prose":
            return scripted_step(f"Answer: {answer}.", "stop", -30.0 - rng.random())
        return scripted_step(f"```python\nprint({int(answer) - 1} + 1)\n```", "stop", -30.0 - rng.random())

    return Record.of(log_of(script, strategy, judge=judging("value", 0.55), execute=sums, width=1))


@pytest.mark.parametrize(
    ("programs", "prose", "strategy", "drawn"),
    [
        ("18", "20", Adaptive(16, modes=BOTH), 16),  # programs alone agree, and prose differs
        ("18", "20 18", Adaptive(16, modes=BOTH), 4),
        ("18", "18", Adaptive(16, modes=BOTH), 2),
        ("20 18", "20", Adaptive(8, lead=2, programs=8, modes=BOTH), 4),  # no prose is to come
        ("18", "20", preset("date", "medium").changed(modes=BOTH), 2),
    ],
)
def test_one_mode_decides_alone_only_where_no_solution_differs(
    programs: str, prose: str, strategy: Strategy, drawn: int
) -> None:
    said: Mapping[Mode, list[str]] = {"program": programs.split(), "prose": prose.split()}
    draw = {mode: (lambda rng, own=own: own.pop(0) if len(own) > 1 else own[0]) for mode, own in said.items()}
    record = searched(draw, strategy)
    assert record.tree.standing.finished == drawn


class Sure(Fitted):
    """A fitted calibrator that takes every answer for correct."""

    unfitted = judging("value", 0.5)  # type: ignore[assignment]

    def question(self, prefix: Prefix) -> Estimate:
        return around(0.99)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        return around(0.99)

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        return AnswerEstimates(around(0.99))


def fitted_driver(fitted: Sure) -> Driver:
    """Over a generator whose words are unlikely."""
    policy = ScriptedPolicy(lambda prefix, rng: scripted_step("Answer: 18.", "stop", -30.0), 4)
    return Driver(policy, SequenceLogprob(), {"value": fitted}, lambda: 0.0)


def test_a_sampler_of_ones_own_makes_a_fitted_number_one_of_votes() -> None:
    driver = fitted_driver(Sure())
    described = ModelDescription(
        calibration={"level": "fitted", "modes": ["prose"]}, sampling={"temperature": 0.8, "top_p": 0.95}
    )
    conditions = Conditions(described, (), unfitted={"level": "prior", "modes": ["prose"]})
    usual, hotter = SamplingChange(temperature=0.8, max_tokens=9), SamplingChange(temperature=1.2)
    found = []
    for change in (usual, hotter):
        settings = SearchRequest(strategy=Vote(2), sampling=change).settings(Problem("q", ""), conditions)
        [record] = records_of(driver.run([Problem("q", "What is twice 9?")], settings)).values()
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

    def is_out_of_distribution(self, prefix: Prefix) -> bool:
        return True


@pytest.mark.parametrize(
    ("fitted", "history"),
    [(SureOutOfDistribution(), ()), (Sure(), (Turn("user", "Hi."), Turn("assistant", "Hello.")))],
)
def test_votes_judge_a_question_unlike_those_that_were_fitted(
    fitted: Sure, history: tuple[Turn, ...]
) -> None:
    driver = fitted_driver(fitted)
    settings = Settings(Adaptive(2), models=ModelDescription(calibration={"level": "fitted"}))
    [record] = records_of(driver.run([Problem("q", "What is twice 9?", history=history)], settings)).values()
    assert [notice.code for notice in record.notices] == ["out-of-distribution"]
    assert record.level == "prior"
    assert record.result is not None
    assert record.result.confidence is not None
    assert record.result.confidence.median < 0.95
