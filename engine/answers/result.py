"""Answers of a search: finished trajectories, groups of equal answers, which one leads, and the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..codec import omit
from ..types import Estimate, Mode, NodeId, StopReason, probability_of


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished trajectory.

    Attributes:
        node: Its last.
        answer: The answer that was found in it (``Kind.answer``), or None.
        estimate: Estimate of that node.
        mode: Mode that its answer counts in (``Tree.mode_as_evidence``).
        passed: Number of tests that its program passes.
        nll: Negative log-likelihood of its tokens, in nats; None where a thought came before it.
        tokens: Number of its tokens.
        greedy: It took the most likely token every time.
    """

    node: NodeId
    answer: str | None
    estimate: Estimate
    mode: Mode = "prose"
    passed: int = 0
    nll: float | None = None
    tokens: int = 0
    greedy: bool = False


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
    """Trajectories that have ended so far, and their answers.

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
        votes: Number of finished trajectories with this answer.
        second: Number of trajectories with the most frequent other answer.
        shown: Number of trajectories that could be shown: with an answer, or ended by themselves.
        finished: Number of trajectories that have ended, those that were cut too.
        gain: Rise of P(the likeliest option is right) for each further trajectory, where options were read.
        options: Probability of each option of a question whose options were read; empty for others.
    """

    answer: str | None
    confidence: Estimate | None
    votes: int
    second: int
    shown: int
    finished: int
    gain: float | None = field(default=None, metadata=omit(None))
    options: Mapping[str, float] = field(default_factory=dict, metadata=omit({}))


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
"""Where nothing was measured; docs/research.md has what fits measure."""


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
    options: Mapping[str, float] = field(default_factory=dict, metadata=omit({}))
    fields: Mapping[str, FieldEstimate] = field(default_factory=dict, metadata=omit({}))

    @property
    def has_reply(self) -> bool:
        """True if there is something to show: a trajectory, or an option that was read."""
        return self.best is not None or bool(self.options)

    @property
    def is_guess(self) -> bool:
        """True if the answer is not known: the search gave up, or its probability is below ``UNLIKELY``."""
        p = probability_of(self.confidence) if self.answer is not None else None
        return self.stop_reason == "hopeless" or (p is not None and p < UNLIKELY)
