"""Types that all rooms share: problems, budgets, steps, estimates, executions, samplers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NewType, Self, get_args

from .codec import UNRECORDED, encodable, omitted

if TYPE_CHECKING:
    # A trace is replayed without numpy, which takes longer to import than all the rest.
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
else:
    FloatArray = object  # pydantic evaluates the types of fields

NodeId = NewType("NodeId", int)
BranchId = NewType("BranchId", int)

ROOT = NodeId(0)

Finish = Literal["step", "stop", "length"]
"""Why a step ended: its delimiter, the model's end of turn, or a token limit."""

ThoughtPart = Literal["part", "whole", "cut"]
"""Role of a thinking step, which a model writes before its solution: ``part`` (more follows), ``whole`` (the
model ended the thought) or ``cut`` (it ended at its budget)."""

Mode = Literal["prose", "program", "code", "call"]
"""How a solution reasons: in steps of text with the answer in a box, as a program that prints the answer, as
a program that is the answer (a code task), or with calls of tools."""

PROGRAMS: tuple[Mode, ...] = ("program", "code")
"""Modes whose solutions are programs."""

MODES: tuple[Mode, ...] = get_args(Mode)

KindName = Literal["value", "date", "choice", "yes-no", "fact", "text", "code", "call", "json"]
"""Kind of question; ``kind_table.KINDS`` has an example of each."""

MessageKind = Literal["value", "date", "choice", "yes-no", "fact", "text"]
"""Kinds of a message without tests, tools or a schema."""

PromptName = Literal[
    "prose",
    "program",
    "code",
    "date",
    "check",
    "choice",
    "yes-no",
    "fact",
    "call",
    "json",
    "look-choice",
    "look-yes-no",
    "look-call",
]
"""Prompt of a solution, by kind and mode (``kinds.prompt_of``), or of a look at options."""

Until = Literal["step", "answer"]
"""How far one child runs: to the next step delimiter, or to the end of its answer."""

SelectRule = Literal["vote", "best", "weighted", "passing", "likeliest", "first"]
"""How the answer is chosen: the largest group of equal answers, the highest median estimate, the group with
the largest sum of medians, of programs the group that passes most tests, the group with the highest
probability, or the first answer that was drawn."""

Same = Callable[[str, str], bool]
"""True for two equal answers of one question (``Kind.equality``)."""

NodeStatus = Literal["open", "pruned", "terminal"]

StopReason = Literal[
    "computed", "confident", "settled", "hopeless", "exhausted", "budget", "taken", "interrupted"
]
"""``computed``: nothing was drawn; ``taken``: the user took the answer that led; ``budget`` and
``interrupted`` (Ctrl-C) come from outside; strategies give the others."""


Role = Literal["system", "user", "assistant"]
"""Who speaks in a turn of a conversation."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a conversation before the question."""

    role: Role
    content: str

    def __post_init__(self) -> None:
        """Replace lone surrogates, as ``Problem`` does."""
        object.__setattr__(self, "content", encodable(self.content))


@dataclass(frozen=True, slots=True)
class Problem:
    """One question.

    Attributes:
        id: Unique among the problems of a run.
        question: The user's text, unchanged.
        answer: The known right answer, for evaluation only; no strategy sees it.
        meta: Fields that are carried through to the output.
        history: The conversation before the question, which the generator reads and a PRM does not.
        kind: Kind of question; it decides how the question is answered (``kinds``).
        why: Why it has that kind, for people; empty for the default.
        details: JSON for the kind, such as the tests of a code task.

    No text in a problem has a lone surrogate (``encodable``).
    """

    id: str
    question: str
    answer: str | None = None
    meta: Mapping[str, object] = field(default_factory=dict)
    history: tuple[Turn, ...] = omitted(())
    kind: KindName = omitted("value")
    why: str = omitted("")
    details: Mapping[str, object] = omitted({})

    def __post_init__(self) -> None:
        """Replace lone surrogates in values from outside."""
        for name in ("id", "question", "answer", "meta", "why", "details"):
            object.__setattr__(self, name, encodable(getattr(self, name)))

    @property
    def has_text(self) -> bool:
        """True if the question has a text above it, or a conversation before it."""
        return bool(self.history) or "\n" in self.question


@dataclass(frozen=True, slots=True)
class Schedule:
    """Number of parallel solutions: few until the answer is in doubt, then many.

    Attributes:
        narrow: Parallel solutions at first.
        wide: Parallel solutions while ``SearchResult.is_in_doubt``.
    """

    narrow: int
    wide: int

    @classmethod
    def even(cls, width: int) -> Self:
        """The same number throughout."""
        return cls(width, width)

    def within(self, most: int) -> Self:
        """The schedule of a search with at most ``most`` solutions."""
        return type(self)(min(self.narrow, most), min(self.wide, most))


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one problem's search; None means no limit.

    A limit is overshot by at most one decode batch; if no solution has finished before, by one solution, for
    which a quarter of the time is added.

    Attributes:
        max_tokens: Generated tokens of the whole tree.
        max_seconds: Wall time from the problem's start.
    """

    max_tokens: int | None = None
    max_seconds: float | None = None

    def spent(self, generated_tokens: int, seconds: float) -> bool:
        """True if a limit is reached."""
        return (self.max_tokens is not None and generated_tokens >= self.max_tokens) or (
            self.max_seconds is not None and seconds >= self.max_seconds
        )

    def is_over(self, seconds: float) -> bool:
        """True if a search ends even without a solution: a quarter of its time beyond the limit."""
        return self.max_seconds is not None and seconds >= 1.25 * self.max_seconds


@dataclass(frozen=True, slots=True)
class Usage:
    """Work done, additive over nodes and problems.

    Attributes:
        prompt_tokens: Prefix tokens that the generator evaluated; a dropped one that comes back counts again.
        reused_tokens: Prefix tokens that another branch had evaluated.
        generated_tokens: Tokens sampled, and those that close a thought at its budget or begin a call.
        prm_tokens: Tokens evaluated by the process reward model.
        flops: About 2 x parameters that a token is multiplied by x tokens evaluated, of generator and PRM, so
            that a PRM never looks free.
        seconds: Share of the decode and scoring time; a batch's time is split evenly over its branches.
    """

    prompt_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    prm_tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        sums = (getattr(self, name) + getattr(other, name) for name in self.__slots__)
        return Usage(*sums)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The generator's final hidden states over a text, pooled, and how sure it was of its tokens.

    A token's state is the one it was drawn from: it has read everything before that token, so the state of a
    delimiter or an end of turn has read the whole step.

    Attributes:
        last: ``[width]``, the state of the last token; of width 0 if states are not kept.
        mean: ``[width]``, the mean over the tokens.
        min_logprob: Log-probability of the least likely token, in nats; 0 for a prompt.
        entropy: Mean entropy of the distributions that the tokens were drawn from, in nats; 0 for a prompt.
    """

    last: FloatArray
    mean: FloatArray
    min_logprob: float = 0.0
    entropy: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """Text up to and including a step delimiter, with the tokens that were sampled for it.

    Attributes:
        text: The decoded tokens.
        token_ids: The sampled tokens in order, and behind a thought the forced ones that close it at its
            budget or open a program; the prefix continues from these, never from the text. Zeros for the step
            of a server, which reports only their number; there the text is continued.
        logprob: Sum of the log-probabilities of sampled tokens in nats, before temperature and truncation;
            None if they are unknown.
        finish: Why it ended; None while it is being written.
        reading: Its hidden states, if a calibration reads them; no part of the record.
        wrong_sums: Equations between numbers in ``text`` that do not hold, as ``7 * 8 = 54``. The search sets
            them when the step is complete, unless the generator supplied them (a record without texts).
        thought: Its role in a thought; None for a step of the solution.
    """

    text: str
    token_ids: tuple[int, ...]
    logprob: float | None
    finish: Finish | None
    reading: Reading | None = field(default=None, compare=False, repr=False, metadata=UNRECORDED)
    wrong_sums: tuple[str, ...] = omitted(())
    thought: ThoughtPart | None = omitted(None)

    @property
    def is_thought(self) -> bool:
        """True if it is of a thought, not of the solution."""
        return self.thought is not None


Z90 = 1.2816
"""90 % quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Probability that a prefix leads to a right answer; each number is in [0, 1].

    ``median`` is the estimate itself: the mean of the distribution, against which calibration is measured.
    ``lower`` and ``upper`` are its 10 and 90 % quantiles. While ``calibrated`` is false the three are one raw
    score, which is no probability.
    """

    lower: float
    median: float
    upper: float
    calibrated: bool

    @classmethod
    def of_quantiles(cls, quantiles: Iterable[float]) -> Self:
        """A calibrated estimate from its three numbers, the lowest first."""
        lower, median, upper = map(float, quantiles)
        return cls(lower, median, upper, calibrated=True)


def probability_of(estimate: Estimate | None) -> float | None:
    """The median of an estimate if it is a probability; None for a score or without an estimate."""
    return estimate.median if estimate is not None and estimate.calibrated else None


def percent(value: float) -> str:
    """A probability for people: ``96 %``; ``>99 %`` and ``<1 %`` at the ends, since no answer is certain."""
    whole = round(100 * value)
    return ">99 %" if whole >= 100 else "<1 %" if whole <= 0 else f"{whole} %"


def rounded_probability(estimate: Estimate | None) -> float | None:
    """``probability_of`` to four places, as JSON has it."""
    p = probability_of(estimate)
    return None if p is None else round(p, 4)


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning, with the fields of an ``AdascaleError``."""

    code: str
    message: str
    facts: tuple[str, ...] = ()
    hint: str = ""


TestOutcome = Literal["passed", "failed", "error", "time-limit", "not-run"]
"""Outcome of one test; ``not-run``: the run ended at an earlier test, or in the program itself."""

_SHOWN = 200
"""Characters of a value or message that a verdict keeps."""
_OUTCOMES: tuple[TestOutcome, ...] = get_args(TestOutcome)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of one test on a program.

    Attributes:
        outcome: ``passed``, or the way in which it failed.
        detail: For a failed test the ``repr`` of the entry point's last result; without a call, of the
            compared value, or the message of the assert. For an error the last line of its traceback. At most
            200 characters.
    """

    outcome: TestOutcome
    detail: str = ""

    @classmethod
    def reported(cls, report: Any) -> Self:
        """The verdict of what tests have reported: [outcome, detail].

        Raises:
            ValueError: it is something else, so a test has written it and not its harness.
        """
        match report:
            case [outcome, str(detail)] if outcome in _OUTCOMES:
                return cls(outcome, detail)
        raise ValueError("the report of a test is no verdict")


@dataclass(frozen=True, slots=True)
class Trial:
    """A program and the tests that judge it, which run behind it in one process.

    Attributes:
        program: Python source of the program.
        tests: Python source of each test, which uses the names of the program and raises if it fails.
    """

    program: str
    tests: tuple[str, ...]

    def judged(self, execution: Execution) -> Execution:
        """The result of running it, with the program and one verdict for each test, which fits a line."""
        reports = [Verdict(each.outcome, _shown(each.detail)) for each in execution.verdicts]
        if missing := len(self.tests) - len(reports):  # it ended in the first of these
            detail = _shown(execution.error) or "the program ended before its tests did"
            is_late = execution.error.startswith("TimeoutError")
            reports += [Verdict("time-limit") if is_late else Verdict("error", detail)]
            reports += [Verdict("not-run")] * (missing - 1)
        return replace(execution, program=self.program, verdicts=tuple(reports))


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def _shown(text: str) -> str:
    """A text as one line without addresses of objects, which differ from run to run."""
    return _ADDRESS.sub("", text.strip().split("\n")[0])[:_SHOWN]


@dataclass(frozen=True, slots=True)
class Execution:
    """Result of running a program.

    Attributes:
        output: Text that it printed until its end or its error.
        error: Last line of the traceback; empty if it ran to its end.
        seconds: Wall time.
        program: Source of a program with tests, as it was cut out of the text; empty if the text holds none.
        verdicts: One for each test that was given, in their order.
    """

    output: str
    error: str
    seconds: float
    program: str = omitted("")
    verdicts: tuple[Verdict, ...] = omitted(())

    @property
    def passed(self) -> int:
        """Number of tests that the program passes."""
        return sum(verdict.outcome == "passed" for verdict in self.verdicts)

    @property
    def passes(self) -> bool:
        """True if the program was tested and passes every test."""
        return bool(self.verdicts) and self.passed == len(self.verdicts)

    @property
    def fails(self) -> bool:
        """True if there is no program that tests could judge, or one that does not pass all of them."""
        return not self.program or self.passed < len(self.verdicts)


@dataclass(frozen=True, slots=True)
class SamplingChange:
    """Numbers of the sampler that one question asks for; None leaves a number as it is for all questions.

    Attributes:
        temperature: Above 0; greedy draws ignore it.
        top_k: Candidates kept first; 0 for all.
        top_p: Share of probability kept, in [0, 1].
        min_p: Candidates less likely than this share of the likeliest one are dropped, in [0, 1].
        repeat_penalty: Divides positive logits of recent tokens, and multiplies negative ones; 1 for none.
        presence_penalty: Taken from the logit of each token that the solution has.
        frequency_penalty: Taken from it once more for each time that the token stands there.
        logit_bias: Tokens with the number that is added to the logit of each.
        max_tokens: Tokens of one solution without its thoughts, at least 1.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] | None = None
    max_tokens: int | None = None

    @property
    def numbers(self) -> dict[str, Any]:
        """The numbers of the sampler that are given, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def odds(self) -> dict[str, Any]:
        """The given numbers that change how likely a token is: with any, fitted estimates become rough."""
        return {name: value for name, value in self.numbers.items() if name != "max_tokens"}

    def beyond(self, usual: Mapping[str, Any]) -> Self:
        """The change without numbers that are the usual ones; a filter or penalty left out there is off."""
        same = [name for name, value in self.odds.items() if value == usual.get(name, _OFF.get(name, 0))]
        return replace(self, **dict.fromkeys(same))


_OFF: Mapping[str, Any] = {"repeat_penalty": 1.0, "logit_bias": (), "top_p": 1.0, "temperature": None}
"""Numbers without effect, for settings that 0 does not switch off."""

AS_USUAL = SamplingChange()
"""The sampler that the open models have for all questions."""
