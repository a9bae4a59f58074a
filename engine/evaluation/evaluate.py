"""Strategies on the same questions with the same random numbers: one outcome for each search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..answers.equality import is_right
from ..budget import Usage
from ..search.driver import Driver
from ..search.events import (
    AnswerFound,
    Event,
    PromptRead,
    SearchFailed,
    SearchFinished,
    StepProposed,
    StepScored,
)
from ..search.settings import Settings
from ..strategies import Strategy
from ..types import OMIT_WHEN_EMPTY, Estimate, NodeId, Problem, StopReason

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
    solutions: tuple[str, ...] = field(default=(), metadata=OMIT_WHEN_EMPTY)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one round of an evaluation may ask for: the first trajectories of each question.

    Attributes:
        problems: In the order in which they are asked.
        trajectories: Of each, at most; 0 where the strategy grows trees.
        seed: Of the round.
    """

    problems: Sequence[Problem]
    trajectories: int
    seed: int


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
        expect: Told before each round what it and the later ones may ask for.
    """
    rounds = [(repeat, contestant) for repeat in range(repeats) for contestant in contestants]
    forecasts = [
        Forecast(problems, contestant.strategy.recorded().get("samples", 0), seed + repeat)
        for repeat, contestant in rounds
    ]
    for at, (repeat, contestant) in enumerate(rounds):
        expect(forecasts[at:])
        settings = Settings(contestant.strategy, seed=seed + repeat)
        folds = {problem.id: _Fold(problem) for problem in problems}
        for problem, event in driver.run(problems, settings, AT_ONCE):
            folds[problem.id].add(event)
            if isinstance(event, SearchFinished | SearchFailed):
                outcome = folds.pop(problem.id).outcome(contestant.name, repeat, event)
                if outcome.stop_reason == "interrupted":
                    return
                yield outcome


@dataclass(slots=True)
class _Fold:
    problem: Problem
    found: int = 0
    finished: int = 0
    usage: Usage = Usage()
    texts: dict[NodeId, str] = field(default_factory=dict)
    solutions: list[str] = field(default_factory=list)

    def add(self, event: Event) -> None:
        if isinstance(event, PromptRead | StepProposed | StepScored):
            self.usage = self.usage + event.usage
        if isinstance(event, StepProposed):
            self.texts[event.node] = self.texts.get(event.parent, "") + event.step.text
        if isinstance(event, AnswerFound):
            self.solutions.append(self.texts[event.node])
            self.finished += 1
            self.found += self._right(event.answer)

    def outcome(self, entry: str, repeat: int, end: SearchFinished | SearchFailed) -> Outcome:
        counts = (entry, repeat, self.problem.id)
        if isinstance(end, SearchFailed):
            return Outcome(*counts, False, 0, 0, None, None, self.usage)
        result = end.result
        confidence = result.confidence if result.answer is not None else None
        return Outcome(
            *counts,
            self._right(result.answer),
            self.found,
            self.finished,
            confidence,
            result.stop_reason,
            end.usage,
            tuple(self.solutions),
        )

    def _right(self, answer: str | None) -> bool:
        assert self.problem.answer is not None, "an evaluation needs the right answers"
        return is_right(answer, gold=self.problem.answer)
