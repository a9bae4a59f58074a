"""Strategies on the same questions with the same random numbers: one outcome for each search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..answers.equality import is_right
from ..search.driver import Driver
from ..search.events import SearchFailed, SearchFinished
from ..search.record import Record
from ..search.settings import Settings
from ..strategies import Strategy
from ..types import OMIT_DEFAULT, Estimate, Mode, Problem, StopReason, Usage

SURE = 0.8
"""Probability at which an answer counts as given, for the accuracy of the answered share."""

CLASSES = ("hopeless", "hard", "middle", "easy")
"""By the share of right trajectories among the most that were drawn: none, < .25, <= .75, more."""

AT_ONCE = 32
"""Questions in flight: enough to fill a batch while some wait for their slowest branch."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A strategy that takes part; names are unique."""

    name: str
    strategy: Strategy


@dataclass(frozen=True, slots=True)
class Outcome:
    """One search of one contestant.

    Attributes:
        entry: The contestant's name.
        repeat: 0, 1, ...
        problem: Id of the question.
        right: Whether the chosen answer is right.
        found: Right trajectories among those that finished.
        finished: Trajectories that finished, with an answer or not.
        confidence: Of the chosen answer; None without an answer.
        stop_reason: Why it ended; None where it could not be searched.
        usage: What it cost.
        solutions: Texts of the trajectories that finished, so that reading their answers can be audited.
    """

    entry: str
    repeat: int
    problem: str
    right: bool
    found: int
    finished: int
    confidence: Estimate | None
    stop_reason: StopReason | None
    usage: Usage
    solutions: tuple[str, ...] = field(default=(), metadata=OMIT_DEFAULT)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one round of an evaluation may ask for: the first trajectories of each question.

    Attributes:
        problems: In the order in which they are asked.
        trajectories: Of each, at most; 0 where the strategy grows trees.
        seed: Of the round.
        modes: By turns of these modes.
    """

    problems: Sequence[Problem]
    trajectories: int
    seed: int
    modes: tuple[Mode, ...] = ("prose",)


def evaluate(
    driver: Driver,
    contestants: Sequence[Contestant],
    problems: Sequence[Problem],
    repeats: int,
    seed: int,
    expect: Callable[[Sequence[Forecast]], None] = lambda rounds: None,
) -> Iterator[Outcome]:
    """Search every question with every contestant, ``repeats`` times with seeds ``seed``, ``seed + 1``, ...

    All contestants of a repeat draw with the same random numbers. Ends early where the driver is interrupted.

    Args:
        driver: Searches.
        contestants: Take part, one round after another.
        problems: With known answers.
        repeats: Rounds of each contestant.
        seed: Of the first repeat.
        expect: Called before each round with the forecasts of it and of the later ones.
    """
    rounds = [(repeat, contestant) for repeat in range(repeats) for contestant in contestants]
    forecasts = [
        Forecast(problems, s.parameters().get("samples", 0), seed + repeat, s.modes)
        for repeat, s in ((repeat, contestant.strategy) for repeat, contestant in rounds)
    ]
    for at, (repeat, contestant) in enumerate(rounds):
        expect(forecasts[at:])
        settings = Settings(contestant.strategy, seed=seed + repeat)
        records: dict[str, Record] = {}
        for problem, event in driver.run(problems, settings, AT_ONCE):
            records[problem.id] = Record.after(records.get(problem.id), event)
            if isinstance(event, SearchFinished | SearchFailed):
                outcome = _outcome(contestant.name, repeat, records.pop(problem.id))
                if outcome.stop_reason == "interrupted":
                    return
                yield outcome


def _outcome(entry: str, repeat: int, record: Record) -> Outcome:
    """Of a search that has ended; where it failed, nothing counts but what it has cost."""
    problem, result = record.started.problem, record.result
    assert problem.answer is not None, "an evaluation needs the right answers"
    if result is None:
        return Outcome(entry, repeat, problem.id, False, 0, 0, None, None, record.usage)
    return Outcome(
        entry,
        repeat,
        problem.id,
        right=is_right(result.answer, gold=problem.answer),
        found=sum(is_right(candidate.answer, gold=problem.answer) for candidate in record.candidates),
        finished=len(record.candidates),
        confidence=result.confidence if result.answer is not None else None,
        stop_reason=result.stop_reason,
        usage=record.usage,
        solutions=tuple(record.tree.text(candidate.node) for candidate in record.candidates),
    )
