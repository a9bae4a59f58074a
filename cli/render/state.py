"""What a view knows: a fold of the event log, independent of how it is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adascale.engine.budget import Budget, Usage
from adascale.engine.errors import TraceError
from adascale.engine.evaluation.summary import Account
from adascale.engine.search.events import (
    AllocationDecided,
    AnswerFound,
    BranchGrew,
    BranchStarted,
    BudgetSpent,
    Event,
    NodesPruned,
    PromptRead,
    SearchFailed,
    SearchFinished,
    SearchStarted,
    StepProposed,
    StepScored,
    Warned,
)
from adascale.engine.search.replay import apply
from adascale.engine.search.tree import Node, Tree
from adascale.engine.types import (
    AnswerGroup,
    BranchId,
    Candidate,
    Estimate,
    NodeId,
    Notice,
    Problem,
    SearchResult,
)

from .standing import standing


@dataclass(frozen=True, slots=True)
class Running:
    """A branch that is being written: where it hangs, and its unfinished step."""

    parent: NodeId
    text: str = ""
    tokens: int = 0


@dataclass(slots=True)
class ViewState:
    """One search as far as its log goes.

    Attributes:
        t: Time of the last event, in seconds since the search started.
        started: Whether a search has begun.
        generating_since: When the first branch started; the prompt is read before.
        tree: The replayed tree.
        strategy: Its name.
        params: Its numbers.
        select: How the answer is chosen, a ``SelectRule``.
        budget: The limits.
        calibrated: Whether estimates are probabilities.
        running: Branches that are being written.
        granted: Children that were asked for, per node.
        cut: Why nodes were pruned.
        candidates: Finished trajectories, in order.
        usage: Work done in finished steps.
        warnings: In order, each once.
        result: What was found, once the search has finished.
        failed: Whether the search could not run.
        account: What was drawn and why it ended.
    """

    t: float = 0.0
    started: bool = False
    generating_since: float = 0.0
    tree: Tree = field(default_factory=lambda: Tree(Problem("", "")))
    strategy: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    select: str = "vote"
    budget: Budget = field(default_factory=Budget)
    calibrated: bool = False
    running: dict[BranchId, Running] = field(default_factory=dict)
    granted: dict[NodeId, int] = field(default_factory=dict)
    cut: dict[NodeId, str] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    warnings: list[Notice] = field(default_factory=list)
    result: SearchResult | None = None
    failed: bool = False
    account: Account = field(default_factory=Account)
    _groups: tuple[AnswerGroup, ...] | None = None

    @property
    def groups(self) -> tuple[AnswerGroup, ...]:
        """Answers of the candidates, the leading one first; only what is drawn needs them."""
        if self._groups is None:
            drawn = sorted(self.candidates, key=lambda found: self.tree.drawn(found.node))
            self._groups = self.result.groups if self.result else standing(drawn, self.select)
        return self._groups

    @property
    def best(self) -> NodeId | None:
        """The terminal node that would be shown now."""
        if self.result is not None:
            return self.result.best
        return self.groups[0].nodes[0] if self.groups else None

    @property
    def ended(self) -> bool:
        """Whether no event will follow."""
        return self.failed or self.result is not None

    @property
    def tokens(self) -> int:
        """Generated tokens, those of unfinished steps included."""
        return self.usage.generated_tokens + sum(branch.tokens for branch in self.running.values())

    @property
    def rate(self) -> float:
        """Generated tokens per second since the first branch started; 0 before."""
        seconds = self.t - self.generating_since
        return self.tokens / seconds if seconds > 0 else 0.0

    @property
    def answer(self) -> str | None:
        """The best answer so far."""
        return self.groups[0].answer if self.groups else None

    @property
    def confidence(self) -> Estimate | None:
        """The estimate that goes with ``answer``."""
        if self.result is not None:
            return self.result.confidence
        if self.tree.standing is not None:
            return self.tree.standing.confidence
        return self.tree[self.best].estimate if self.best is not None else None

    @property
    def agreement(self) -> tuple[int, int]:
        """Paths that agree on ``answer``, of how many that have one."""
        votes = [len(group.nodes) for group in self.groups]
        return (votes[0], sum(votes)) if votes else (0, 0)

    def made(self, node: Node) -> int:
        """Children that were drawn from ``node`` so far; the next step of its own branch is none."""
        drawn = [self.tree[child].branch for child in self.tree.children(node.id)]
        drawn += [id_ for id_, branch in self.running.items() if branch.parent == node.id]
        return sum(branch != node.branch for branch in drawn)

    def writing(self) -> dict[NodeId, int]:
        """How many branches are being written below each node that has any."""
        return Counter(branch.parent for branch in self.running.values())


def state_after(events: Iterable[Event]) -> ViewState:
    """What a view knows after these events of one search, the first of them ``SearchStarted``."""
    state = ViewState()
    for event in events:
        state = reduce(state, event)
    return state


def reduce(state: ViewState, event: Event) -> ViewState:
    """The state after one more event; ``state`` itself may be changed and must not be used again.

    Raises:
        TraceError: the event names a node that no event has made.
    """
    if isinstance(event, SearchStarted):
        return _begin(event)
    state.account.add(event)
    apply(state.tree, event)
    state.t = event.t
    match event:
        case AllocationDecided():
            state.granted[event.node] = state.granted.get(event.node, 0) + event.granted
        case PromptRead() | StepScored() | BudgetSpent():
            _spend(state, event)
        case BranchStarted() | BranchGrew() | StepProposed():
            _grow(state, event)
        case NodesPruned():
            _stop_below(state, set(event.nodes))
            state.cut.update(dict.fromkeys(event.nodes, event.reason))
        case AnswerFound():
            _known(state, event.seq, event.node)
            state.candidates.append(Candidate(event.node, event.answer, event.estimate))
            state._groups = None
        case Warned():
            if event.notice not in state.warnings:
                state.warnings.append(event.notice)
        case SearchFinished():
            _finish(state, event)
        case SearchFailed():
            state.failed = True
            state.running.clear()
    return state


def _begin(event: SearchStarted) -> ViewState:
    state = ViewState(
        t=event.t,
        started=True,
        tree=Tree(event.problem),
        strategy=event.strategy,
        params=event.params,
        select=event.select,
        budget=event.budget,
        calibrated=event.calibrated,
    )
    state.account.add(event)
    return state


def _spend(state: ViewState, event: PromptRead | StepScored | BudgetSpent) -> None:
    if isinstance(event, StepScored):
        _known(state, event.seq, event.node)
    state.usage = event.usage if isinstance(event, BudgetSpent) else state.usage + event.usage


def _grow(state: ViewState, event: BranchStarted | BranchGrew | StepProposed) -> None:
    _known(state, event.seq, event.parent)
    match event:
        case BranchStarted():
            state.generating_since = state.generating_since or event.t
            state.running[event.branch] = Running(event.parent)
        case BranchGrew():
            state.running[event.branch] = Running(event.parent, event.text, event.tokens)
        case StepProposed():
            state.usage = state.usage + event.usage
            if event.ended:
                state.running.pop(event.branch, None)
            else:
                state.running[event.branch] = Running(event.node)


def _stop_below(state: ViewState, cut: set[NodeId]) -> None:
    """Forget branches below cut nodes: one that has no token yet ends without an event of its own."""
    for id_, branch in list(state.running.items()):
        if any(node.id in cut for node in state.tree.path(branch.parent)):
            del state.running[id_]


def _finish(state: ViewState, event: SearchFinished) -> None:
    result = event.result
    shown = [node for group in result.groups for node in group.nodes]
    _known(state, event.seq, *shown, *([] if result.best is None else [result.best]))
    state.result, state._groups = result, None
    state.usage = event.usage
    state.running.clear()


def _known(state: ViewState, seq: int, *nodes: NodeId) -> None:
    for node in nodes:
        if not 0 <= node < len(state.tree):
            raise TraceError(f"event {seq} names node {node}, which the trace has not made")
