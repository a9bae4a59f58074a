"""Searches of strategies on the same questions with the same random numbers, and what was correct of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adascale.engine.errors import UsageError, setting
from adascale.engine.kinds import Run, kind_of
from adascale.engine.request import Conditions, Request, SearchRequest, Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import ModelDescription, SearchFailed, SearchFinished
from adascale.engine.search.record import Record, right_nodes
from adascale.engine.strategies import Passing, Strategy, effort_named
from adascale.engine.strategies.base import REDRAWS
from adascale.engine.strategies.presets import effort_numbers
from adascale.engine.strategies.sampling import Agreement
from adascale.engine.types import Estimate, KindName, Mode, Problem, Schedule, StopReason, Usage

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
    schedule: Schedule | None = None,
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
        schedule: Branches that run side by side of a strategy that may end early; None for all that it draws.
    """
    known = {problem.id: problem for problem in problems}
    problems = [kind_of(problem).for_search(problem) for problem in problems]
    for repeat, contestant in itertools.product(range(repeats), contestants):
        strategy = contestant.strategy
        own = schedule if strategy.stops_early else None
        settings = Settings(strategy, seed=seed + repeat, schedule=own)
        usual = SearchRequest(strategy=strategy, seed=seed + repeat)
        conditions = Conditions(ModelDescription(), (), own)
        records: dict[str, Record] = {}
        requests = (
            Request(each, usual.settings(each, conditions, modes) if is_auto else settings)
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


MODES_BY_NAME: Mapping[str, tuple[Mode, ...]] = {
    "prose": ("prose",),
    "program": ("program",),
    "both": ("prose", "program"),
}

_CONTESTANT = re.compile(
    r"([a-z-]+?)(?::(\d+))?(?:@([a-z]+))?(?:\+(?!redraw$)([a-z]+))?(?:/([a-z]+))?(\+redraw)?"
)


def parse_contestants(
    text: str, request: SearchRequest = SearchRequest(), kind: KindName = "value"
) -> list[Contestant]:
    """Contestants of a comma-separated list; effort and numbers of the request hold for what one leaves open.

    An effort has its numbers for the kind of problem that they will search.

    ``NAME:N`` fixes the samples, or what else a strategy counts (``Strategy.size``). ``NAME@low`` has the
    numbers of an effort. ``+n``, ``+k``, ``+m`` and ``+km`` are the paper's rules (``InstanceAdaptive``).
    ``NAME/prose``, ``/program`` and ``/both`` say how trajectories reason; without one, they reason as those
    of ``ask`` do. ``+redraw`` at the end draws steps with a wrong sum again, as ``adaptive`` does.

    Raises:
        UsageError: one of them is not a strategy, or takes part twice; or none has a number of the request.
    """
    contestants = [_contestant(name.strip(), request, kind) for name in text.split(",") if name.strip()]
    names = [contestant.name for contestant in contestants]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} takes part twice")
    if not contestants:
        raise UsageError("no strategy takes part", hint="for example vote:4,vote:16,adaptive")
    unused = [each for each in request.numbers if not any(one.strategy.has(each) for one in contestants)]
    if unused:
        what = " and no ".join(map(setting, unused))
        raise UsageError(f"{' and '.join(names)} have no {what}", hint="leave it out")
    return contestants


def for_kind(contestants: Sequence[Contestant], kind: KindName) -> list[Contestant]:
    """The contestants as they search problems of a kind.

    Raises:
        UsageError: one of them cannot search this kind.
    """
    if kind == "code":
        return [replace(each, strategy=each.strategy.changed(modes=("code",))) for each in contestants]
    others: dict[type[Strategy], str] = {Passing: "passing searches for programs that pass tests"}
    if kind != "call":
        others[Agreement] = "agreement searches for calls of tools"
    for each in contestants:
        if (said := others.get(type(each.strategy))) is not None:
            raise UsageError(f"{said}, and these are questions", hint=setting("strategies", "adaptive"))
    return list(contestants)


def _contestant(name: str, request: SearchRequest, kind: KindName) -> Contestant:
    match = _CONTESTANT.fullmatch(name)
    if match is None:
        raise UsageError(f'"{name}" is not a strategy', hint="for example vote:16, beam or best-of-n:16+n")
    named, size, effort, rule, modes, redraw = match.groups()
    strategy = SearchRequest().named(named, kind)
    own: dict[str, Any] = effort_numbers(strategy, effort_named(effort), kind) if effort else {}
    if size:
        if int(size) < 1 or not strategy.has(strategy.size):
            raise UsageError(f'"{name}": {size} solutions do not fit it', hint="vote:8 has eight")
        own[strategy.size] = int(size)
    if rule:
        own["adapt"] = rule
    if modes:
        if modes not in MODES_BY_NAME:
            raise UsageError(f'"{name}": no such mode', hint=f"use one of /{', /'.join(MODES_BY_NAME)}")
        own["modes"] = MODES_BY_NAME[modes]
    if redraw:
        own["redraws"] = REDRAWS
    return Contestant(name, request.named(named, kind, **own), is_auto=not modes)
