"""Settings of searches: strategy, budget, seed, and the models for the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from ..codec import OneOf
from ..kinds import kind_of
from ..sampling import AS_USUAL, SamplingChange
from ..strategies import STRATEGIES, Greedy, ModeChoice, Strategy, Vote, with_mode
from ..types import Budget, Mode, Notice, Problem
from .events import ModelDescription, SearchStarted

_NO_PROGRAMS = Notice(
    "uncalibrated-programs", "the calibration knows no programs: votes decide, and no number is a probability"
)

_ANOTHER_MODE = Notice(
    "another-mode", "a question of this kind is not answered in the mode that was asked for"
)

_ANOTHER_SAMPLER = Notice(
    "another-sampler",
    "the calibration was fitted with another sampler: the probability is rough, by the votes alone",
)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Models and warnings of the searches of one kind of problem.

    Attributes:
        models: Generator, PRM, calibration and sampler, for the log.
        warnings: Notices for the user before each search.
        width: Branches that run side by side on this machine of a search that may end early; None for all
            that it draws.
        rough: Calibration, for the log, of a search with a sampler of its own; None where the usual one holds
            for any sampler.
    """

    models: ModelDescription
    warnings: tuple[Notice, ...]
    width: int | None = None
    rough: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a search.

    Attributes:
        strategy: Decides what to draw.
        budget: Limits per problem.
        seed: Seeds every branch, together with the problem's id and the branch's key.
        models: Generator, PRM, calibration and sampler, for the log.
        warnings: Notices for the user before each search.
        seeded_as: Name that seeds the draws instead of the problem's id, so that one question that is asked
            twice under two ids has the same draws.
        sampling: Numbers of the sampler that this search has of its own.
        width: Branches that run side by side; None for as many as the strategy draws. The answer depends on
            it.
    """

    strategy: Annotated[Strategy, OneOf(STRATEGIES)]
    budget: Budget = Budget()
    seed: int = 0
    models: ModelDescription = ModelDescription()
    warnings: tuple[Notice, ...] = ()
    seeded_as: str | None = None
    sampling: SamplingChange = AS_USUAL
    width: int | None = None

    @property
    def branches(self) -> int:
        """Branches that run side by side: no more than the strategy draws."""
        return min(self.width or self.strategy.branches, self.strategy.branches)

    def under(self, conditions: Conditions) -> Settings:
        """The settings with the models, the warnings and the width of an open session.

        With another sampler than that of the session a fitted calibration does not hold: votes judge.
        """
        models, warnings = conditions.models, conditions.warnings
        usual = models.sampling or {}
        change = self.sampling.beyond(usual)
        if change.odds:
            models = replace(models, sampling={**usual, **change.odds})
            if conditions.rough is not None:
                models = replace(models, calibration=conditions.rough)
                warnings = (*warnings, _ANOTHER_SAMPLER)
        width = self.width or (conditions.width if self.strategy.stops_early else None)
        return replace(self, models=models, warnings=warnings, sampling=change, width=width)

    def for_problem(self, problem: Problem, mode: ModeChoice, among: Sequence[Mode]) -> Settings:
        """The settings as they suit a problem: a text gets one reply, and modes are those of its kind.

        Args:
            problem: The problem.
            mode: The user's choice of a mode.
            among: Modes that open models leave to ``auto``; empty before models are open.

        Raises:
            UsageError: as ``with_mode``.
        """
        if problem.is_chat:
            return self.for_chat()
        if problem.kind == "value":
            return self.in_mode(mode, among)
        if problem.kind == "call":
            return self.for_tools(problem)
        modes = kind_of(problem).modes(problem)
        left = tuple(each for each in modes if each != "program" or not among or each in among)
        chosen = left if self.strategy.looks_ahead else ()
        if mode == "auto" or mode in modes:
            return self.in_mode(mode, chosen)
        usual = replace(self.strategy, modes=modes[:1])
        return replace(self, strategy=usual, warnings=(*self.warnings, _ANOTHER_MODE)).in_mode("auto", chosen)

    def for_tools(self, problem: Problem) -> Settings:
        """For a request with tools: calls, and for a strategy that looks ahead also a reply without them."""
        modes = kind_of(problem).modes(problem)
        chosen = modes if self.strategy.looks_ahead else modes[:1]
        return replace(self, strategy=replace(self.strategy, modes=chosen))

    def in_mode(self, mode: ModeChoice, among: Sequence[Mode]) -> Settings:
        """The settings with the chosen modes of the strategy; arguments and errors of ``with_mode``.

        A calibration that does not know all of them is not used, which is a warning.
        """
        chosen = replace(self, strategy=with_mode(self.strategy, mode, among))
        modes, card = chosen.strategy.modes, self.models.calibration
        if card is None or set(modes) <= set(card["modes"]):
            return chosen
        warnings = (*self.warnings, _NO_PROGRAMS) if "program" in modes else self.warnings
        return replace(chosen, models=replace(self.models, calibration=None), warnings=warnings)

    def for_chat(self) -> Settings:
        """For a message whose reply nobody can check: one reply, which no calibration judges."""
        models = replace(self.models, calibration=None)
        strategy = self.strategy if isinstance(self.strategy, Greedy) else Vote(samples=1)
        return replace(self, strategy=strategy, models=models)

    def first_event(self, problem: Problem) -> SearchStarted:
        """The beginning of every search with these settings."""
        return SearchStarted(
            problem=problem,
            strategy=self.strategy.name,
            params=self.strategy.parameters(),
            models=self.models,
            budget=self.budget,
            seed=self.seed,
            width=self.branches,
            calibrated=self.models.calibration is not None,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One problem, and how it is searched. To a worker it travels as it is, with a built-in strategy."""

    problem: Problem
    settings: Settings
