"""Searches of strategies on the same questions with the same random numbers: one outcome each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..kinds import Run, kind_of
from ..search.driver import Driver
from ..search.events import SearchFailed, SearchFinished
from ..search.prefix_outcomes import right_nodes
from ..search.record import Record
from ..search.settings import Request, Settings
from ..strategies import Strategy
from ..types import Estimate, Mode, Problem, StopReason, Usage

SURE = 0.8
"""Probability at which an answer counts as given, for the accuracy of the answered share."""

AT_ONCE = 32
"""Questions in flight: enough to fill a batch while some wait for their slowest branch."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A strategy that takes part; names are unique.

    Attributes:
        name: Its name.
        strategy: The strategy.
        is_auto: It searches in the modes that ``ask`` would use, as every one does for calls of tools, and
            not in those of the strategy.
    """

    name: str
    strategy: Strategy
    is_auto: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """One search of one contestant.

    Attributes:
        entry: The contestant's name.
        problem: Id of the question.
        right: The chosen answer is correct, or the chosen program passes the hidden tests.
        found: Correct trajectories among those that finished.
        finished: Trajectories that finished, with an answer or not.
        confidence: Estimate of the chosen answer; None without an answer.
        stop_reason: Stop reason of the search; None if it failed.
        usage: Cost of the search.
    """

    entry: str
    problem: str
    right: bool
    found: int
    finished: int
    confidence: Estimate | None
    stop_reason: StopReason | None
    usage: Usage


def evaluate(
    driver: Driver,
    contestants: Sequence[Contestant],
    problems: Sequence[Problem],
    repeats: int,
    seed: int,
    run: Run | None = None,
    modes: Sequence[Mode] = (),
    width: int | None = None,
) -> Iterator[Outcome]:
    """Search every question with every contestant, ``repeats`` times with seeds ``seed``, ``seed + 1``, ...

    All contestants of a repeat draw with the same random numbers. Ends early if the driver is interrupted.

    Args:
        driver: Searches.
        contestants: Take part, one round after another.
        problems: With known answers, or code tasks with hidden tests, which no search gets to see.
        repeats: Rounds of each contestant.
        seed: Seed of the first repeat.
        run: Runs programs with hidden tests; None if there is no code task.
        modes: Modes that open models leave to ``auto`` for a value.
        width: Branches that run side by side of a strategy that may end early; None for all that it draws.
    """
    known = {problem.id: problem for problem in problems}
    problems = [kind_of(problem).for_search(problem) for problem in problems]
    for repeat, contestant in itertools.product(range(repeats), contestants):
        strategy = contestant.strategy
        settings = Settings(strategy, seed=seed + repeat, width=width if strategy.stops_early else None)
        records: dict[str, Record] = {}
        requests = (
            Request(each, settings.for_problem(each, "auto", modes) if is_auto else settings)
            for each, is_auto in ((each, contestant.is_auto or each.kind == "call") for each in problems)
        )
        for problem, event in driver.serve(requests, AT_ONCE):
            records[problem.id] = Record.after(records.get(problem.id), event)
            if isinstance(event, SearchFinished | SearchFailed):
                asked = known[problem.id]
                outcome = _outcome(contestant.name, asked, records.pop(problem.id), run)
                if outcome.stop_reason == "interrupted":
                    return
                yield outcome


def _outcome(entry: str, problem: Problem, record: Record, run: Run | None) -> Outcome:
    """Outcome of a search that has ended; of one that failed, nothing counts but its cost."""
    result = record.result
    if result is None:
        return Outcome(entry, problem.id, False, 0, 0, None, None, record.usage)
    right = right_nodes(record, problem, run)
    is_right = result.best in right
    if result.best is None and result.answer is not None:  # an option that was read and not reasoned out
        is_right = kind_of(problem).is_right(problem, result.answer, None, run)
    return Outcome(
        entry,
        problem.id,
        right=is_right,
        found=len(right),
        finished=len(record.candidates),
        confidence=result.confidence if result.answer is not None else None,
        stop_reason=result.stop_reason,
        usage=record.usage,
    )
