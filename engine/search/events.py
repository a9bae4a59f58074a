"""The event log is the truth; a tree, a view and a trace are folds of it."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..answers.choosing import SearchResult
from ..codec import UNRECORDED, build, omitted, to_plain
from ..errors import AdascaleError, TraceError, excerpt, restored_error
from ..types import (
    BranchId,
    Budget,
    Estimate,
    Execution,
    Mode,
    NodeId,
    Notice,
    Problem,
    Reading,
    Schedule,
    Step,
    Usage,
)

SCHEMA = "adascale.trace/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """Base of all events; the search stamps them when they happen.

    Attributes:
        kind: Its name in JSON.
        seq: 0, 1, 2, ... without gaps, per problem.
        t: Seconds since the search started.
    """

    kind: ClassVar[str]

    seq: int = 0
    t: float = 0.0


@dataclass(frozen=True, slots=True)
class GeneratorDescription:
    """The model that writes the solutions.

    Attributes:
        name: Name in the catalogue, or of the file.
        file: File name without its folder.
        sha256: Digest of the file.
        n_ctx: Window of one trajectory in tokens, prompt included; 0 if unknown.
    """

    name: str
    file: str = ""
    sha256: str = ""
    n_ctx: int = 0


@dataclass(frozen=True, slots=True)
class PRMDescription:
    """The reward model; the other fields are as in ``GeneratorDescription``.

    Attributes:
        format: A key of ``models.prm.formats.FORMATS``.
    """

    name: str
    file: str = ""
    sha256: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """The models, the calibration and the sampler of a search.

    Attributes:
        generator: The generator; None in a log of scripted models.
        prm: A PRM with a file of its own; None if the generator's states are read, or nothing is judged.
        calibration: Card of the calibration as JSON; None if no estimate is a probability.
        sampling: Temperature and the other numbers by name, and under ``prompt`` the hash of the prompt.
    """

    generator: GeneratorDescription | None = omitted(None)
    prm: PRMDescription | None = omitted(None)
    calibration: Mapping[str, Any] | None = omitted(None)
    sampling: Mapping[str, Any] | None = omitted(None)

    @property
    def level(self) -> str:
        """Level of the calibration: ``fitted``, ``prior`` or ``none``."""
        return "none" if self.calibration is None else str(self.calibration["level"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStarted(_Event):
    """A search begins.

    Attributes:
        params: Parameters of the strategy.
        schedule: Branches that run side by side.
    """

    kind = "search_started"
    problem: Problem
    strategy: str
    params: Mapping[str, Any]
    models: ModelDescription
    budget: Budget
    seed: int
    schedule: Schedule
    calibrated: bool
    schema: str = SCHEMA

    def limit(self, parameter: str) -> int | None:
        """A parameter by which a strategy stops, such as ``samples`` or ``lead``; None if it has none."""
        value = self.params.get(parameter)
        return value if isinstance(value, int) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRead(_Event):
    """Prefix work that belongs to no step, above all reading a mode's prompt; the root has its cost.

    ``estimate`` is the estimate of the question in this mode, before the first draw. No trace has
    ``reading``. ``branch`` is a branch that ended before its first token.
    """

    kind = "prompt_read"
    usage: Usage
    estimate: Estimate | None = None
    reading: Reading | None = field(default=None, metadata=UNRECORDED)
    mode: Mode = omitted("prose")
    branch: BranchId | None = omitted(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionsRead(_Event):
    """The options were read before any solution, in one order.

    ``log_probs`` are their log-probabilities in nats, by the place of the option in ``options``.
    """

    kind = "options_read"
    options: tuple[str, ...]
    log_probs: tuple[float, ...]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchStarted(_Event):
    """A branch began to run below ``parent``; a greedy one takes the most likely token every time."""

    kind = "branch_started"
    branch: BranchId
    parent: NodeId
    greedy: bool = False
    mode: Mode = omitted("prose")


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchGrew(_Event):
    """The unfinished step of a running branch, every few tokens; ``thinks`` as in ``ports.Growth``."""

    kind = "branch_grew"
    branch: BranchId
    parent: NodeId
    text: str
    tokens: int
    thinks: bool = omitted(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProposed(_Event):
    """A branch completed a step: a new node. ``ended`` is true if the branch stops here."""

    kind = "step_proposed"
    node: NodeId
    parent: NodeId
    branch: BranchId
    step: Step
    usage: Usage
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScored(_Event):
    """The reward model read a node at the cost of ``usage``."""

    kind = "step_scored"
    node: NodeId
    reward: float
    estimate: Estimate
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRan(_Event):
    """A node's program was run, or could not be run."""

    kind = "program_ran"
    node: NodeId
    execution: Execution


OUT_OF_DISTRIBUTION = "out-of-distribution"
"""Code of the notice for a question outside of its calibration's distribution."""

NOT_NEEDED = "no longer needed"
"""Reason of ``NodesPruned`` for branches that still ran when their search had ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesPruned(_Event):
    """Nodes that will not be continued, with the reason."""

    kind = "nodes_pruned"
    nodes: tuple[NodeId, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFound(_Event):
    """A trajectory ended and counts; ``answer`` is None when none could be read from it.

    ``estimate`` is the estimate of this trajectory alone, without the votes of others.
    """

    kind = "answer_found"
    node: NodeId
    answer: str | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersJudged(_Event):
    """One more trajectory counts, or the options were read.

    Attributes:
        result: The standing.
        estimates: Changed estimates of finished trajectories, as their votes and evidence count now.
    """

    kind = "answers_judged"
    result: SearchResult
    estimates: Mapping[NodeId, Estimate] = omitted({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(_Event):
    """A warning for the user."""

    kind = "warned"
    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFinished(_Event):
    """The search ended."""

    kind = "search_finished"
    result: SearchResult
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFailed(_Event):
    """The search could not run; other problems go on.

    Attributes:
        notice: Text of the error.
        error_type: Name of the error's class.
    """

    kind = "search_failed"
    notice: Notice
    error_type: str

    @classmethod
    def of(cls, error: AdascaleError) -> SearchFailed:
        """The event of an error."""
        return cls(notice=error.notice, error_type=type(error).__name__)

    def error(self) -> AdascaleError:
        """The error that the event records."""
        return restored_error(self.error_type, self.notice)


Event = (
    SearchStarted
    | PromptRead
    | OptionsRead
    | BranchStarted
    | BranchGrew
    | StepProposed
    | ProgramRan
    | StepScored
    | NodesPruned
    | AnswerFound
    | AnswersJudged
    | Warned
    | SearchFinished
    | SearchFailed
)

EVENT_TYPES: Mapping[str, type[Any]] = {cls.kind: cls for cls in typing.get_args(Event)}
"""The class of each kind of event."""


def to_json(event: Event) -> dict[str, Any]:
    """A JSON-ready object: ``kind``, ``seq``, ``t``, then the fields of the event and of its notice."""
    body = to_plain(event)
    stamp = {"kind": event.kind, "seq": body.pop("seq"), "t": body.pop("t")}
    return {**stamp, **body.pop("notice", {}), **body}


def from_json(data: Mapping[str, Any], line: str = "") -> Event:
    """The inverse of ``to_json``; unknown keys are ignored.

    Args:
        data: A JSON object.
        line: The same as text, which is read faster.

    Raises:
        TraceError: unknown kind, a missing field or a value of the wrong shape.
    """
    name = data.get("kind")
    if not isinstance(name, str) or name not in EVENT_TYPES:
        raise TraceError(f"unknown event kind {excerpt(repr(name), 40)}")
    try:
        _ = data["seq"], data["t"]  # no defaults here
        of_notice = "notice" in EVENT_TYPES[name].__dataclass_fields__
        event: Event = build(EVENT_TYPES[name], {**data, "notice": data} if of_notice else line or data)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise TraceError(f"event {name!r} is malformed: {excerpt(str(exc))}") from exc
    return event
