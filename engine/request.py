"""A request, and the settings of its search.

The command line, the HTTP protocols and Python fill the same ``SearchRequest``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, get_args

from .codec import OneOf
from .errors import UsageError, setting
from .kind_table import entry_of
from .kinds import KINDS, kind_of
from .kinds.recognising import problem_of
from .search.events import ModelDescription, SearchStarted
from .strategies import (
    STRATEGIES,
    Adapt,
    Adaptive,
    Effort,
    Greedy,
    ModeChoice,
    Passing,
    Strategy,
    Vote,
    effort_named,
    preset,
    strategy_named,
)
from .strategies.presets import effort_numbers
from .types import (
    AS_USUAL,
    Budget,
    KindName,
    MessageKind,
    Mode,
    Notice,
    Problem,
    SamplingChange,
    Schedule,
    Turn,
)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A question, and how it is searched.

    Attributes:
        question: The question.
        kind: Its kind; None to recognise it.
        choices: Options to choose from, beside the question.
        schema: JSON schema of the object to extract from it.
        history: The conversation before it.
        is_searched: Also search a message that nobody can check, instead of one plain reply.
        strategy: Name of a strategy with the effort's numbers, or a strategy with its own parameters.
            The kind of a question chooses the form of ``adaptive``.
        effort: How hard to try.
        samples, beams, branching, lead, confidence: Parameters of the strategy in the place of the effort's.
        adapt: Rule of arXiv 2506.09338 that chooses a number.
        mode: How solutions reason.
        budget: Limits of the search.
        seed: Seed of sampling; None leaves it to the caller, and is 0 for the search.
        width: Solutions that run side by side; None leaves it to the machine.
        sampling: Sampler settings of this question.
        min_confidence: Probability below which the answer does not count as known.

    Raises:
        UsageError: a word is not known, a value has another type, or the strategy lacks a number or the rule.
    """

    question: str = ""
    kind: MessageKind | None = None
    choices: Sequence[str] = ()
    schema: Mapping[str, Any] | None = None
    history: tuple[Turn, ...] = ()
    is_searched: bool = False
    strategy: str | Strategy = Adaptive.name
    effort: Effort = "medium"
    samples: int | None = None
    beams: int | None = None
    branching: int | None = None
    lead: int | None = None
    confidence: float | None = None
    adapt: Adapt = "none"
    mode: ModeChoice = "auto"
    budget: Budget = Budget()
    seed: int | None = None
    width: int | None = None
    sampling: SamplingChange = AS_USUAL
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        """Refuse words that are not known, and values of another type."""
        effort_named(self.effort)
        for what, word, possible in (
            ("kind of question", self.kind, get_args(MessageKind)),
            ("mode", self.mode, get_args(ModeChoice)),
        ):
            if word is not None and word not in possible:
                raise UsageError(f'no {what} called "{word}"', hint=f"use one of {', '.join(possible)}")
        if isinstance(self.choices, str) or not all(isinstance(each, str) for each in self.choices):
            raise UsageError(
                "choices are a list of texts", repr(self.choices), hint='choices=["red", "green"]'
            )
        if not isinstance(self.budget, Budget):
            hint = "budget=adascale.Budget(max_tokens=600)"
            raise UsageError("that is no Budget", repr(self.budget), hint=hint)

    def problem(self, id_: str = "1") -> Problem:
        """The question as a problem; its kind is recognised unless the request names it.

        Raises:
            UsageError: it is empty, or cannot be of that kind.
        """
        question = self.question.strip()
        if not question:
            raise UsageError("the question is empty", slug="empty-question")
        return problem_of(
            id_,
            question,
            kind=self.kind,
            choices=self.choices,
            is_searched=self.is_searched,
            history=self.history,
            schema=self.schema,
        )

    def settings(
        self, problem: Problem, conditions: Conditions | None = None, modes: Sequence[Mode] = ()
    ) -> Settings:
        """The settings of the search of a problem.

        Args:
            problem: Usually the result of ``problem``; or another, such as a code task.
            conditions: Those of open models for this kind of problem; None before models are open.
            modes: Modes that open models leave to ``auto``; empty before models are open.

        Raises:
            UsageError: the strategy lacks the mode, the rule or a number.
        """
        conditions = conditions or Conditions(ModelDescription(), ())
        models, warnings, entry = conditions.models, [*conditions.warnings], entry_of(problem)
        strategy = conditions.possible(self.strategy_for(problem.kind))
        strategy = replace(strategy, modes=self._modes(problem, strategy, modes))
        usual = models.sampling or {}
        change = self.sampling.beyond(usual)
        if change.odds:  # with another sampler a fitted calibration does not hold: votes judge
            models = replace(models, sampling={**usual, **change.odds})
            if conditions.unfitted is not None:
                models = replace(models, calibration=conditions.unfitted)
                warnings.append(_ANOTHER_SAMPLER)
        card = models.calibration
        is_known = card is None or entry.has_calls or set(strategy.modes) <= set(card["modes"])
        if entry.is_reply or not is_known:
            models = replace(models, calibration=None)
            warnings += [_NO_PROGRAMS] if "program" in strategy.modes else []
        warnings += self._without_effect(problem.kind, strategy, conditions.set_odds)
        schedules = (
            Schedule.even(self.width) if self.width is not None else None,
            Schedule.even(1) if entry.has_options else None,  # two solutions settle it, or a few more do not
            conditions.schedule if strategy.stops_early else None,
        )
        return Settings(
            strategy,
            self.budget,
            self.seed or 0,
            models,
            tuple(warnings),
            sampling=change,
            schedule=next(filter(None, schedules), None),
        )

    def _modes(self, problem: Problem, strategy: Strategy, modes: Sequence[Mode]) -> tuple[Mode, ...]:
        """The modes of a search, from the first row that has any.

        Args:
            problem: The problem.
            strategy: Its strategy, with the modes that it has by itself.
            modes: As of ``settings``.
        """
        entry, possible = entry_of(problem), kind_of(problem).modes(problem)
        usable = tuple(mode for mode in possible if mode != "program" or not modes or mode in modes)
        is_usual = strategy.modes == _USUAL_MODES and not strategy.grows_steps
        rows = (
            strategy.modes if entry.is_reply else (),
            (possible if strategy.reads_options else possible[:1]) if entry.has_calls else (),
            tuple(mode for mode in possible if mode == self.mode),
            (tuple(modes) if entry.is_fitted else usable) if strategy.reads_options else (),
            usable[:1] if is_usual or self.mode != "auto" else (),
            strategy.modes,
        )
        return next(filter(None, rows))

    def _without_effect(self, kind: KindName, strategy: Strategy, odds: Sequence[str]) -> Iterator[Notice]:
        """A warning that names the settings without effect on a kind of problem, if there are any.

        Args:
            kind: The kind.
            strategy: The strategy that searches it.
            odds: As ``Conditions.set_odds``.
        """
        idle = [name for name, value in self.numbers.items() if getattr(strategy, name, None) != value]
        if isinstance(self.strategy, str) and self.strategy not in (Adaptive.name, strategy.name):
            idle.append("strategy")
        if self.mode != "auto" and strategy.modes != (self.mode,):
            idle.append("mode")
        if self.min_confidence and not KINDS[kind].has_votes:
            idle.append("min_confidence")
        is_one = strategy.at_most == 1
        if is_one and not isinstance(strategy, Vote):  # it is greedy
            idle += odds
        if idle:
            why = f"one {KINDS[kind].noun} is drawn" if is_one else f"{strategy.name} searches it"
            without = " and ".join(map(setting, idle))
            yield Notice("no-effect", f"a question of the kind {kind} is answered without {without}: {why}")

    def strategy_for(self, kind: KindName = "value") -> Strategy:
        """The strategy of a kind of problem; the mode ``auto`` is decided when the models are open.

        A text gets plain replies. A program for a task is searched by ``passing``, whatever is named.

        Raises:
            UsageError: as of ``settings``.
        """
        strategy = self.strategy
        if KINDS[kind].is_reply and not isinstance(strategy, Greedy | Vote):
            return Greedy() if strategy == Greedy.name else Vote(samples=1)
        if isinstance(strategy, str):
            if KINDS[kind].has_tests:
                return self.named(Passing.name, kind)
            resolved = strategy_named(strategy)
            if unused := [name for name in self.numbers if not resolved.has(name)]:
                what = " and no ".join(map(setting, unused))
                hint = "leave it out, or choose another strategy"
                raise UsageError(f"{resolved.name} has no {what}", hint=hint)
            strategy = self.named(resolved.name, kind)
        return strategy if self.mode == "auto" else replace(strategy, modes=(self.mode,))

    @property
    def numbers(self) -> dict[str, Any]:
        """Parameters of strategies that are set."""
        names = "samples", "beams", "branching", "lead", "confidence", "adapt"
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value not in (None, "none")}

    def named(self, name: str, kind: KindName = "value", **own: Any) -> Strategy:
        """The strategy of a name with the numbers of the request that it has a parameter for.

        Args:
            name: Name of the strategy.
            kind: Kind of the problems that it will search.
            own: Parameters that take the place of the request's.

        Raises:
            UsageError: no strategy has this name, it lacks a parameter, or could not run with these numbers.
        """
        if name == Adaptive.name and not KINDS[kind].has_tests:
            name = preset(kind, self.effort).name  # some kinds have another default strategy
        strategy = strategy_named(name)
        numbers = {**effort_numbers(strategy, self.effort, kind), **self.numbers}
        return strategy.changed(**{name: n for name, n in numbers.items() if strategy.has(name)} | own)


_USUAL_MODES: tuple[Mode, ...] = ("prose",)
"""Default modes of a strategy."""

_NO_PROGRAMS = Notice(
    "uncalibrated-programs", "the calibration knows no programs: votes decide, and no number is a probability"
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
        schedule: Solutions that run side by side on this machine, of a search that may end early; None for
            all that it draws.
        unfitted: Calibration, for the log, of a search with a sampler of its own; None if the usual one
            holds for any sampler.
        continues: The generator can go on from a step; otherwise nothing is drawn again, and no tree of steps
            can grow.
        set_odds: Numbers of the sampler that the user has set, which no greedy solution heeds.
    """

    models: ModelDescription
    warnings: tuple[Notice, ...]
    schedule: Schedule | None = None
    unfitted: Mapping[str, Any] | None = None
    continues: bool = True
    set_odds: tuple[str, ...] = ()

    def possible(self, strategy: Strategy) -> Strategy:
        """The strategy, without redraws if the generator cannot continue from a step.

        Raises:
            UsageError: it grows a tree of steps there.
        """
        if self.continues:
            return strategy
        if strategy.grows_steps:
            text = f"{strategy.name} grows a tree of steps, and this server cannot continue a message"
            raise UsageError(text, hint=setting("strategy", "adaptive"))
        return replace(strategy, redraws=0)


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
        sampling: Sampler settings of this search.
        schedule: Branches that run side by side; None for as many as the strategy draws. The answer depends
            on it.
    """

    strategy: Annotated[Strategy, OneOf(STRATEGIES)]
    budget: Budget = Budget()
    seed: int = 0
    models: ModelDescription = ModelDescription()
    warnings: tuple[Notice, ...] = ()
    seeded_as: str | None = None
    sampling: SamplingChange = AS_USUAL
    schedule: Schedule | None = None

    def first_event(self, problem: Problem) -> SearchStarted:
        """The beginning of every search with these settings."""
        most = self.strategy.branches
        return SearchStarted(
            problem=problem,
            strategy=self.strategy.name,
            params=self.strategy.parameters(),
            models=self.models,
            budget=self.budget,
            seed=self.seed,
            schedule=(self.schedule or Schedule.even(most)).within(most),
            calibrated=self.models.calibration is not None,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One problem, and how it is searched. To a worker it travels as it is, with a built-in strategy."""

    problem: Problem
    settings: Settings
