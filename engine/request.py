"""What is asked and how it is searched, as a command line, a client's body or Python says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from .errors import UsageError, setting
from .kinds.recognising import problem_of
from .sampling import AS_USUAL, SamplingChange
from .search.settings import Conditions, Settings
from .strategies import (
    EFFORTS,
    Adapt,
    Adaptive,
    Effort,
    Greedy,
    InstanceAdaptive,
    ModeChoice,
    Passing,
    Strategy,
    Vote,
    effort_named,
    strategy_named,
    with_mode,
)
from .strategies.presets import PAPER, effort_numbers
from .types import Budget, KindName, MessageKind, Mode, Problem, Turn


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A question, and how it is searched.

    Attributes:
        question: The question.
        kind: Kind to take it for; None to recognise it.
        choices: Options to choose from, given beside it.
        schema: JSON schema of an object in which its content is wanted.
        history: The conversation before it.
        is_searched: Search a message that nobody can check, too, instead of one plain reply.
        strategy: Name of a strategy, whose numbers are those of the effort, or one with its own parameters.
            The kind of a question chooses the form of ``adaptive``.
        effort: How hard to try.
        samples, beams, branching, lead, confidence: Parameters of the strategy in the place of the effort's.
        paper: Use the numbers of arXiv 2506.09338 instead of the effort's.
        adapt: Rule of that paper that chooses a number.
        mode: How solutions reason.
        budget: Limits of the search.
        seed: Seed of sampling; None leaves it to the caller, and is 0 for the search.
        width: Solutions that run side by side; None leaves it to the machine.
        sampling: Numbers of the sampler that this question has of its own.
        replies: Plain replies to a message that nobody can check.
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
    paper: bool = False
    adapt: Adapt = "none"
    mode: ModeChoice = "auto"
    budget: Budget = Budget()
    seed: int | None = None
    width: int | None = None
    sampling: SamplingChange = AS_USUAL
    replies: int = 1
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        """Refuse words that are not known, and values of another type."""
        effort_named(self.effort)
        for what, word, known in (
            ("kind of question", self.kind, get_args(MessageKind)),
            ("mode", self.mode, get_args(ModeChoice)),
        ):
            if word is not None and word not in known:
                raise UsageError(f'no {what} called "{word}"', hint=f"use one of {', '.join(known)}")
        if isinstance(self.choices, str) or not all(isinstance(each, str) for each in self.choices):
            raise UsageError(
                "choices are a list of texts", repr(self.choices), hint='choices=["red", "green"]'
            )
        if not isinstance(self.budget, Budget):
            hint = "budget=adascale.Budget(max_tokens=600)"
            raise UsageError("that is no Budget", repr(self.budget), hint=hint)

    def problem(self, id_: str = "1") -> Problem:
        """The question as a problem; its kind is recognised unless the request says it.

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
            problem: Usually that of ``problem``; one of a kind of its own, such as a code task, will do.
            conditions: Those of open models for this kind of problem; None before models are open.
            modes: Modes that open models leave to ``auto``; empty before models are open.

        Raises:
            UsageError: the strategy lacks the mode, the rule or a number.
        """
        strategy = self.strategy_for(problem.kind)
        settings = Settings(strategy, self.budget, self.seed or 0, sampling=self.sampling, width=self.width)
        if conditions is not None:
            settings = settings.under(conditions)
        settings = settings.for_problem(problem, self.mode, modes)
        return replace(settings, strategy=strategy) if problem.is_chat else settings

    def strategy_for(self, kind: KindName = "value") -> Strategy:
        """The strategy of a kind of problem; the mode ``auto`` is decided when the models are open.

        A text gets plain replies. A program for a task is searched by ``passing``, whatever is named.

        Raises:
            UsageError: as of ``settings``.
        """
        if kind == "text":
            is_greedy = self.strategy == Greedy.name or isinstance(self.strategy, Greedy)
            return Greedy() if is_greedy else Vote(samples=self.replies)
        if isinstance(self.strategy, Strategy):
            return with_mode(self.strategy, self.mode)
        if kind == "code":
            return self.named(Passing.name, kind)
        named = strategy_named(self.strategy)
        if unused := [name for name in self._numbers if not named.has(name)]:
            what = " and no ".join(map(setting, unused))
            raise UsageError(f"{named.name} has no {what}", hint="leave it out, or choose another strategy")
        if self.adapt != "none" and not (isinstance(named, InstanceAdaptive) and self.adapt in named.rules):
            raise UsageError(
                f"{setting('adapt', self.adapt)} is no rule of {named.name}",
                hint=f"{setting('adapt', 'n')} is one of best-of-n, {setting('adapt', 'km')} of beam",
            )
        return with_mode(self.named(named.name, kind), self.mode)

    @property
    def _numbers(self) -> dict[str, float]:
        """Parameters of strategies that are set."""
        names = "samples", "beams", "branching", "lead", "confidence"
        return {name: number for name in names if (number := getattr(self, name)) is not None}

    def named(self, name: str, kind: KindName = "value", **own: Any) -> Strategy:
        """The strategy of a name with the numbers of the request that it has a parameter for.

        Args:
            name: Name of the strategy.
            kind: Kind of the problems that it will search.
            own: Parameters that take the place of the request's.

        Raises:
            UsageError: no strategy has this name, it lacks a parameter, or could not run with these numbers.
        """
        if name == Adaptive.name and kind != "code":
            name = EFFORTS[kind][self.effort].name  # what is adaptive has a name of its own for some kinds
        strategy = strategy_named(name)
        is_paper = self.paper and strategy.kind == "value"
        usual = PAPER if is_paper else effort_numbers(strategy, self.effort, kind)
        numbers = {**usual, **self._numbers} | ({} if self.adapt == "none" else {"adapt": self.adapt})
        return strategy.changed(**{name: n for name, n in numbers.items() if strategy.has(name)} | own)
