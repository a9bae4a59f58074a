"""The words of the search: problems, budgets and usage, steps, estimates, answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NewType, Self, get_args

from .codec import OMIT_DEFAULT, UNRECORDED, encodable

if TYPE_CHECKING:
    # A trace is replayed without numpy, which takes longer to import than all the rest.
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

NodeId = NewType("NodeId", int)
BranchId = NewType("BranchId", int)

ROOT = NodeId(0)

Finish = Literal["step", "stop", "length"]
"""Why a step ended: its delimiter, the model's end of turn, or a token limit."""

FINISHES: tuple[Finish, ...] = get_args(Finish)

Thought = Literal["part", "whole", "cut"]
"""Role of a thinking step, which a model writes before its solution: ``part`` (more follows), ``whole`` (the
model ended the thought) or ``cut`` (it ended at its budget)."""

THOUGHTS: tuple[Thought, ...] = get_args(Thought)

Mode = Literal["prose", "program", "code", "call"]
"""How a trajectory reasons: in steps of text with its answer in a box, or as a program that prints it. The
trajectory of a code task is a program too, but there the program is the answer, and tests run it. One in the
mode ``call`` may call tools."""

PROGRAMS: tuple[Mode, ...] = ("program", "code")
"""Modes whose trajectories are programs."""

MODES: tuple[Mode, ...] = get_args(Mode)

KindName = Literal["value", "choice", "yes-no", "fact", "text", "code", "call", "json"]
"""Kind of question (``kinds.KINDS``): its answer has a value, is one of some options, is yes or no, or is a
name, a date or a place; nobody can check its reply; a program answers it; a call of a tool; or a JSON
object of a schema."""

MessageKind = Literal["value", "choice", "yes-no", "fact", "text"]
"""Kinds that a message can be taken for; code has tests and a command of its own."""

PromptName = Literal[
    "prose", "program", "code", "choice", "yes-no", "fact", "call", "json", "look-choice", "look-yes-no"
]
"""Prompt of a trajectory, by its kind and its mode (``kinds.prompt_of``), or of a look at options."""

Until = Literal["step", "answer"]
"""How far one child runs: to the next step delimiter, or to the end of its answer."""

SelectRule = Literal["vote", "best", "weighted", "passing", "likeliest"]
"""How the answer is chosen: the largest group of equal answers, the highest median estimate, the group with
the largest sum of medians, of programs the group that passes most tests, or the group with the highest
probability where a calibration knows those of answers."""

Same = Callable[[str, str], bool]
"""True for two equal answers of one question (``Kind.equality``)."""

NodeStatus = Literal["open", "pruned", "terminal"]

StopReason = Literal["confident", "settled", "hopeless", "exhausted", "budget", "interrupted"]


Role = Literal["system", "user", "assistant"]
"""Who speaks in a turn of a conversation."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a conversation before the question."""

    role: Role
    content: str

    def __post_init__(self) -> None:
        """Settle halves of surrogate pairs, as ``Problem`` does."""
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
        kind: Kind of question, which decides how it is answered (``kinds``).
        why: Reason why it was taken for that kind, for people; empty for the default.
        details: JSON that the kind needs besides the question, such as the tests of a code task.

    Nothing in a problem holds half of a surrogate pair (``encodable``), so no reader of one has to care.
    """

    id: str
    question: str
    answer: str | None = None
    meta: Mapping[str, object] = field(default_factory=dict)
    history: tuple[Turn, ...] = field(default=(), metadata=OMIT_DEFAULT)
    kind: KindName = field(default="value", metadata=OMIT_DEFAULT)
    why: str = field(default="", metadata=OMIT_DEFAULT)
    details: Mapping[str, object] = field(default_factory=dict, metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        """Settle halves of surrogate pairs in what comes from outside."""
        for name in ("id", "question", "answer", "meta", "why", "details"):
            object.__setattr__(self, name, encodable(getattr(self, name)))

    @property
    def is_chat(self) -> bool:
        """True if it is a message of a conversation: read below no built-in prompt, and replied to once."""
        return self.kind == "text"

    @property
    def is_raw(self) -> bool:
        """True if its question is no message but a text, which is continued without a chat template."""
        return self.kind == "text" and "suffix" in self.details


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one problem's search; None means no limit.

    A limit is overshot by at most one decode batch, and by one solution where none has finished before.

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


@dataclass(frozen=True, slots=True)
class Usage:
    """Work done, additive over nodes and problems.

    Attributes:
        prompt_tokens: Prefix tokens that the generator evaluated; a dropped one that comes back counts again.
        reused_tokens: Prefix tokens that another branch had evaluated.
        generated_tokens: Tokens sampled, and those that close a thought at its budget.
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
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.reused_tokens + other.reused_tokens,
            self.generated_tokens + other.generated_tokens,
            self.prm_tokens + other.prm_tokens,
            self.flops + other.flops,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The generator's final hidden states over a text, pooled, and how sure it was of its tokens.

    A token's state is the one it was drawn from: it has read everything before that token, so the state of a
    delimiter or an end of turn has read the whole step.

    Attributes:
        last: ``[width]``, the state of the last token; of width 0 where states are not kept.
        mean: ``[width]``, the mean over the tokens.
        min_logprob: Log-probability of the least likely token, in nats; 0 for a prompt.
        entropy: Mean entropy of the distributions that the tokens were drawn from, in nats; 0 for a prompt.
    """

    last: FloatArray
    mean: FloatArray
    min_logprob: float = 0.0
    entropy: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenOdds:
    """How likely a token was under the full softmax at temperature 1.

    Attributes:
        piece: Its bytes; a character may span several tokens.
        logprob: Natural logarithm of its probability.
        likeliest: The likeliest tokens in its place, as many as were asked for.
    """

    piece: tuple[int, ...]
    logprob: float
    likeliest: tuple[TokenOdds, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Text up to and including a step delimiter, with the tokens that were sampled for it.

    Attributes:
        text: The decoded tokens.
        token_ids: What was sampled, in order, and behind a thought what closes it at its budget or opens a
            program; the prefix is continued from these, never from the text.
        logprob: Sum of the log-probabilities of sampled tokens in nats, before temperature and truncation.
        finish: Why it ended.
        reading: The states it was written from, where a calibration wants them; no part of the record.
        wrong_sums: Equations between numbers in ``text`` that do not hold, as ``7 * 8 = 54``. The search sets
            them when the step is complete, unless the generator knew them (a record without texts).
        thought: Its role in a thought; None for a step of the solution.
        odds: Log-probabilities of each sampled token that has text, where a client asked for them.
    """

    text: str
    token_ids: tuple[int, ...]
    logprob: float
    finish: Finish
    reading: Reading | None = field(default=None, compare=False, repr=False, metadata=UNRECORDED)
    wrong_sums: tuple[str, ...] = field(default=(), metadata=OMIT_DEFAULT)
    thought: Thought | None = field(default=None, metadata=OMIT_DEFAULT)
    odds: tuple[TokenOdds, ...] = field(default=(), metadata=OMIT_DEFAULT)

    @property
    def is_thought(self) -> bool:
        """True if it is of a thought, not of the solution."""
        return self.thought is not None


TestOutcome = Literal["passed", "failed", "error", "time-limit", "not-run"]
"""Outcome of one test; ``not-run``: the run ended at an earlier test, or in the program itself."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of one test on a program.

    Attributes:
        outcome: ``passed``, or the way in which it failed.
        detail: For a failed test the ``repr`` of what the entry point gave last; where it was not called, of
            what was compared, or the message of the assert. For an error the last line of its traceback. At
            most 200 characters.
    """

    outcome: TestOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A program and the tests that judge it, which never share a process.

    Attributes:
        program: Python source of the program.
        tests: Python source that gets names of the program from ``program_adascale(name)``, and calls
            ``report_adascale(outcome, detail)`` at the end of each test.
        count: Number of tests.
    """

    program: str
    tests: str
    count: int


@dataclass(frozen=True, slots=True)
class Repair:
    """One change to a program that a model wrote, without which it could not run or be tested.

    Attributes:
        kind: Fault that it mends, such as ``main-guard``.
        detail: The name, line or statement that it concerns.
    """

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Execution:
    """Result of running a program.

    Attributes:
        output: Text that it printed, up to the point where it failed.
        error: Last line of the traceback; empty if it ran to its end.
        seconds: Wall time.
        program: Source of the program where tests judge it, as it was cut out of the text and repaired; empty
            where the text holds none.
        repairs: Changes that made that source of the text, in this order.
        verdicts: One for each test that was given, in their order.
    """

    output: str
    error: str
    seconds: float
    program: str = field(default="", metadata=OMIT_DEFAULT)
    repairs: tuple[Repair, ...] = field(default=(), metadata=OMIT_DEFAULT)
    verdicts: tuple[Verdict, ...] = field(default=(), metadata=OMIT_DEFAULT)

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
class Estimate:
    """Probability that a prefix ends in a right answer, each number in [0, 1].

    ``median`` is the estimate itself, what outcomes are compared with: the middle of the distribution for
    pinball fits, its mean for Beta fits. ``lower`` and ``upper`` are its 10 and 90 % quantiles.
    While ``calibrated`` is false the three are one raw score, and nothing may call it a probability.
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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished trajectory.

    Attributes:
        node: Its last.
        answer: The answer that was found in it (``Kind.answer``), or None.
        estimate: Estimate of that node.
        mode: How it reasoned.
        passed: Number of tests that its program passes.
    """

    node: NodeId
    answer: str | None
    estimate: Estimate
    mode: Mode = "prose"
    passed: int = 0


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """Candidates whose answers are the same.

    Attributes:
        answer: The spelling of the best candidate.
        nodes: Terminal nodes, best estimate first.
        share: Share of all candidates with an answer, in (0, 1].
        weight: Sum of the median estimates.
    """

    answer: str
    nodes: tuple[NodeId, ...]
    share: float
    weight: float


@dataclass(frozen=True, slots=True)
class FinishedSearch:
    """The trajectories and answers of a finished search; at least one candidate has an answer.

    Attributes:
        questions: Estimate for the question itself, in each mode that has one.
        candidates: All finished trajectories, those without an answer too.
        groups: Answer groups, the chosen one first.
        look: Log-probability of each option of a look, by its name; empty without a look.
    """

    questions: Mapping[Mode, Estimate]
    candidates: tuple[Candidate, ...]
    groups: tuple[AnswerGroup, ...]
    look: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """Which answer leads while a search runs.

    Attributes:
        answer: Answer that leads now; None while no finished trajectory has one.
        confidence: Estimate for it; calibrated where the calibrator has one for answers.
        votes: Finished trajectories with this answer.
        second: Those with the most frequent other answer.
        answered: Those with any answer.
        shown: Those that could be shown: with an answer, or ended by themselves.
        finished: All trajectories that have ended, those that were cut too.
        gain: What each further trajectory adds at most to P(the leading answer is right), and
        reach: the most that it rises to (``look_ahead``); None without a calibration. Of several modes the
            gain is the largest.
        gains: That of each mode, for as many tokens as a trajectory in prose has; None for a single one.
        options: Probability of each option of a question whose options were read; empty for others.
        is_rough: The numbers know votes and the size of the model alone.
    """

    answer: str | None
    confidence: Estimate | None
    votes: int
    second: int
    answered: int
    shown: int
    finished: int
    gain: float | None = None
    reach: float | None = None
    gains: Mapping[Mode, float] | None = field(default=None, metadata=OMIT_DEFAULT)
    options: Mapping[str, float] = field(default_factory=dict, metadata=OMIT_DEFAULT)
    is_rough: bool = field(default=False, metadata=OMIT_DEFAULT)


@dataclass(frozen=True, slots=True)
class ModeProfile:
    """Statistics of the trajectories of one mode, which a calibration knows besides their estimates.

    Attributes:
        spread: Concentration of their wrong answers, as a Chinese restaurant process: the larger, the more
            rarely two agree.
        tokens: Mean number of tokens of one.
    """

    spread: float
    tokens: float


PROFILES: Mapping[Mode, ModeProfile] = {
    "prose": ModeProfile(6.0, 300.0),
    "program": ModeProfile(2.5, 130.0),
    "code": ModeProfile(2.5, 80.0),
    "call": ModeProfile(2.5, 50.0),
}
"""Where a calibration was fitted before they were measured (docs/research/LOG.md says why these)."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a user should know, and that ends nothing; as ``AdascaleError`` has it."""

    code: str
    message: str
    facts: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class FieldEstimate:
    """How sure a field of an answer in JSON is.

    Attributes:
        votes: Solutions that have the same.
        probability: P(it is correct), in [0, 1].
    """

    votes: int
    probability: float


DOUBTFUL = 0.8
"""Probability below which a field is marked as doubtful."""

UNLIKELY = 0.2
"""A calibrated probability below which an answer is not called known, however it came about."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Result of a finished search.

    Attributes:
        answer: The chosen answer; None when no trajectory reached one.
        confidence: Estimate for the answer; uncalibrated until a calibration exists.
        groups: Answer groups, the chosen one first.
        best: Terminal node of the trajectory that is shown; None when nothing finished, and for an option
            that no trajectory has chosen.
        stop_reason: Why the search ended; its default stands until the search knows.
        options: Probability of each option of a question whose options were read; empty for others. The
            likeliest is the answer, whether a trajectory has chosen it or not.
        fields: Fields of an answer in JSON, with their votes; empty for others, and without a calibration.
    """

    answer: str | None
    confidence: Estimate | None
    groups: tuple[AnswerGroup, ...]
    best: NodeId | None
    stop_reason: StopReason = "exhausted"
    options: Mapping[str, float] = field(default_factory=dict, metadata=OMIT_DEFAULT)
    fields: Mapping[str, FieldEstimate] = field(default_factory=dict, metadata=OMIT_DEFAULT)

    @property
    def has_reply(self) -> bool:
        """True if there is something to show: a trajectory, or an option that was read."""
        return self.best is not None or bool(self.options)

    @property
    def is_guess(self) -> bool:
        """True if the answer is not known: the search gave up, or its probability is below ``UNLIKELY``."""
        p = self.confidence if self.answer is not None else None
        return self.stop_reason == "hopeless" or (p is not None and p.calibrated and p.median < UNLIKELY)
