"""The search tree: nodes in an arena, addressed by index. Plain data; ``Record`` alone changes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from ..answers.choosing import NOTHING_YET, AnswerGroup, Candidate, SearchResult
from ..answers.program import computes, read_program
from ..answers.sums import leaves_out
from ..ports import Prefix
from ..types import (
    ROOT,
    BranchId,
    Estimate,
    Execution,
    Mode,
    NodeId,
    NodeStatus,
    Problem,
    Reading,
    Schedule,
    Step,
    Usage,
)


@dataclass(slots=True)
class Node:
    """One prefix: the question and all steps on the way from the root.

    Attributes:
        id: Index in the arena; parents come before their children.
        parent: None for the root.
        depth: Steps from the root.
        step: The step that leads here from the parent; None for the root.
        branch: The branch that wrote it; they are numbered in the order in which they were drawn.
        mode: Mode of reasoning.
        greedy: Its branch takes the most likely token every time.
        execution: Output and error of a program that has run.
        reward: Raw output of the reward model; None until scored.
        estimate: Calibrated success probability; None until scored. The root has the question's in the mode
            whose prompt was read first; ``Tree.questions`` has all.
        status: ``open`` may be expanded, ``terminal`` ended by itself, ``pruned`` was cut.
        usage: Cost of this node alone; the sum over nodes is the search's usage.
    """

    id: NodeId
    parent: NodeId | None
    depth: int
    step: Step | None
    branch: BranchId | None = None
    mode: Mode = "prose"
    greedy: bool = False
    execution: Execution | None = None
    reward: float | None = None
    estimate: Estimate | None = None
    status: NodeStatus = "open"
    usage: Usage = field(default_factory=Usage)

    @property
    def is_thought(self) -> bool:
        """True if its step is a part of a thought."""
        return self.step is not None and self.step.is_thought


@dataclass(slots=True)
class Tree:
    """An append-only arena of nodes below one question; the generator's states are in no log, nor compared.

    Attributes:
        problem: The question.
        schedule: Branches that run side by side.
        modes: Modes of the search.
        readings: States of the generator after each mode's prompt, if a calibration reads them.
        questions: Estimate of the question in each mode that has one: P(a trajectory is correct), in [0, 1].
        option_logits: Log-probability of each option in nats, by its name; one mapping for each reading.
        standing: The leading answer and its votes.
        nodes: All nodes by id.
    """

    problem: Problem
    schedule: Schedule = field(default=Schedule(1, 1), compare=False)
    modes: frozenset[Mode] = frozenset()
    readings: dict[Mode, Reading] = field(default_factory=dict, compare=False)
    questions: dict[Mode, Estimate] = field(default_factory=dict)
    option_logits: list[Mapping[str, float]] = field(default_factory=list)
    standing: SearchResult = NOTHING_YET
    nodes: list[Node] = field(default_factory=lambda: [Node(ROOT, None, 0, None)])
    _children: list[list[NodeId]] = field(default_factory=lambda: [[]])

    def __getitem__(self, node: NodeId) -> Node:
        if node < 0:
            raise IndexError(f"no node {node}")
        return self.nodes[node]

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    @property
    def width(self) -> int:
        """Branches that run side by side now."""
        return self.schedule.wide if self.standing.is_in_doubt else self.schedule.narrow

    @property
    def groups(self) -> tuple[AnswerGroup, ...]:
        """The answers so far, the leading one first."""
        return self.standing.groups

    @property
    def mean_option_logits(self) -> dict[str, float]:
        """Mean log-probability of each option, in nats, by its name; empty if none were read."""
        if not self.option_logits:
            return {}
        logits = self.option_logits
        return {option: fmean(each[option] for each in logits) for option in logits[0]}

    def add(
        self,
        parent: NodeId,
        step: Step,
        branch: BranchId | None = None,
        mode: Mode = "prose",
        *,
        greedy: bool = False,
    ) -> Node:
        """Append a child of ``parent``; a step that ended by itself makes it terminal."""
        node = Node(NodeId(len(self.nodes)), parent, self[parent].depth + 1, step, branch, mode, greedy)
        if step.finish != "step":
            node.status = "terminal"
        self.nodes.append(node)
        self._children.append([])
        self._children[parent].append(node.id)
        return node

    def mode_as_evidence(self, node: NodeId) -> Mode:
        """Mode in which a trajectory's answer counts: a program that only prints a literal is prose.

        The model would give this answer without the program too, so it is no second opinion beside prose.
        """
        mode = self[node].mode
        if mode != "program" or "prose" not in self.modes:
            return mode
        source = read_program(self.text(node))
        return "prose" if source is not None and not computes(source) else mode

    def candidate(self, node: NodeId, answer: str | None, estimate: Estimate) -> Candidate:
        """The finished trajectory that ends at a node, with its answer and its estimate."""
        end, mode = self[node], self.mode_as_evidence(node)
        passed = 0 if end.execution is None else end.execution.passed
        tokens = sum(len(step.token_ids) for step in self.steps(node))
        unused = leaves_out(self.problem, self.steps(node))
        return Candidate(node, answer, estimate, mode, passed, self.nll(node), tokens, end.greedy, unused)

    def children(self, node: NodeId) -> tuple[NodeId, ...]:
        """Children in the order in which they were added."""
        return tuple(self._children[node])

    def path(self, node: NodeId) -> list[Node]:
        """Nodes from the first step below the root to ``node``; empty for the root."""
        path: list[Node] = []
        at: NodeId | None = node
        while at is not None and at != ROOT:
            path.append(self[at])
            at = self[at].parent
        return path[::-1]

    def draw_order(self, node: NodeId) -> tuple[int, int]:
        """Sorts nodes by the start of their branches; ids follow the completion of the nodes on the clock."""
        branch = self[node].branch
        return (-1 if branch is None else branch, node)

    def steps(self, node: NodeId) -> tuple[Step, ...]:
        """Steps from the root to ``node``."""
        return tuple(n.step for n in self.path(node) if n.step is not None)

    def text(self, node: NodeId) -> str:
        """The solution so far, from the first step to ``node``, without the thoughts before it."""
        return "".join(step.text for step in self.steps(node) if not step.is_thought)

    def nll(self, node: NodeId) -> float | None:
        """Minus the log-probability of the solution so far, in nats; None if unknown or behind a thought."""
        steps = self.steps(node)
        logprobs = [step.logprob for step in steps if step.logprob is not None and not step.is_thought]
        return -sum(logprobs) if len(logprobs) == len(steps) else None

    def thoughts(self, node: NodeId) -> tuple[Step, ...]:
        """Steps of the thoughts on the way to ``node``."""
        return tuple(step for step in self.steps(node) if step.is_thought)

    def label(self, node: NodeId) -> str:
        """Position among siblings along the path, from 1: ``1.2.1``; empty for the root."""
        parts: list[str] = []
        for n in self.path(node):
            assert n.parent is not None
            parts.append(str(self._children[n.parent].index(n.id) + 1))
        return ".".join(parts)

    def prefix(self, node: NodeId, mode: Mode | None = None) -> Prefix:
        """The prefix that a policy continues, and that a reward model and a calibrator read.

        Args:
            node: Its last node.
            mode: Mode in which it goes on; by default the mode of the node.
        """
        mode = mode or self[node].mode
        end = self[node]
        reading = self.readings.get(mode)
        return Prefix(self.problem, self.steps(node), reading, mode, end.execution)
