"""One question with its tree of sampled steps: the shape that traces, rollouts and draws are read into."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adascale.engine.execution import Execution
from adascale.engine.search.events import OUTSIDE, ModelDescription
from adascale.engine.search.prefix_outcomes import PrefixOutcome, prefix_outcomes
from adascale.engine.search.record import Record
from adascale.engine.strategies.allocation import success_beta
from adascale.engine.types import ROOT, Estimate, Mode, NodeId, Problem


@dataclass(frozen=True, slots=True)
class SampledNode:
    """One prefix: the question and all steps up to this one. Unknown values are None.

    Attributes:
        parent: Row of the prefix that it continues; -1 for the question. Parents come first.
        text: Its last step; empty for the question.
        mode: How it reasons; for the question the mode of its rollouts, or prose.
        ended: The trajectory ends here, by itself or at a limit.
        tokens: Length of its last step.
        estimate: P(a trajectory with this prefix is correct).
        outcome: Number of draws through this prefix, and how many of them were correct.
        answer: Answer of a trajectory that ended.
        execution: Outcome of running it, for a program.
    """

    parent: int
    text: str
    mode: Mode
    ended: bool
    tokens: int
    estimate: Estimate | None = None
    outcome: PrefixOutcome | None = None
    answer: str | None = None
    execution: Execution | None = None

    @property
    def calibrated(self) -> bool:
        """Its estimate is a probability."""
        return self.estimate is not None and self.estimate.calibrated

    @property
    def right(self) -> bool | None:
        """A trajectory that ended is correct; None if that is unknown."""
        if not self.ended or self.outcome is None or not self.outcome.total:
            return None
        return self.outcome.right == self.outcome.total

    @property
    def ran(self) -> bool | None:
        """A program ran to its end; None if that is unknown. A program with an answer did."""
        if self.execution is not None:
            return not self.execution.error
        return True if self.answer is not None else None

    @property
    def probability(self) -> float | None:
        """P(correct), in [0, 1]: known for an ended trajectory, or the posterior of estimate and outcome.

        The estimate is the prior, as a Beta distribution: alone it hardly tells siblings apart
        (AUC .47 to .62 within a question). Without a calibrated estimate it is the share of correct draws.
        """
        if self.right is not None:
            return float(self.right)
        drawn = self.outcome or PrefixOutcome()
        if self.estimate is not None and self.estimate.calibrated:
            right, wrong = success_beta(self.estimate)
            prior = self.estimate.median
            return (right + drawn.right) / (right + wrong + drawn.total) if drawn.total else prior
        return drawn.right / drawn.total if drawn.total else None

    @property
    def counts(self) -> list[int] | None:
        """``[correct, total]`` draws through this prefix."""
        return None if self.outcome is None else [self.outcome.right, self.outcome.total]


@dataclass(frozen=True, slots=True)
class SampledQuestion:
    """A question, and the prefixes that one generator sampled for it.

    Attributes:
        problem: The question, with its answer if that is known.
        nodes: Row 0 is the question.
        models: Generator, sampler and calibration; empty fields are unknown.
        in_domain: The question is like those that the calibration was fitted on; None if that is unknown.
        by_mode: Outcomes of the question by the mode of its draws; empty where they are of one mode.
    """

    problem: Problem
    nodes: tuple[SampledNode, ...]
    models: ModelDescription = ModelDescription()
    in_domain: bool | None = None
    by_mode: Mapping[Mode, PrefixOutcome] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Record) -> SampledQuestion:
        """The tree of a search; outcomes are known if the answer of its problem is."""
        by_mode: dict[Mode, Mapping[NodeId, PrefixOutcome]] = {}
        if record.started.problem.answer is not None:
            modes = {record.tree[found.node].mode for found in record.candidates}
            by_mode = {mode: prefix_outcomes(record, mode) for mode in modes}
        answers = {candidate.node: candidate.answer for candidate in record.candidates}
        nodes = []
        for node in record.tree:
            step = node.step
            outcome = sum((found[node.id] for found in by_mode.values()), PrefixOutcome())
            sampled = SampledNode(
                parent=-1 if node.parent is None else node.parent,
                text=step.text if step else "",
                mode=node.mode,
                ended=step is not None and step.finish != "step",
                tokens=len(step.token_ids) if step else 0,
                estimate=node.estimate,
                outcome=None if record.started.problem.answer is None else outcome,
                answer=answers.get(node.id),
                execution=node.execution,
            )
            nodes.append(sampled)
        in_domain = None
        if record.started.calibrated:
            in_domain = all(notice.code != OUTSIDE for notice in record.notices)
        of_question = {mode: found[ROOT] for mode, found in by_mode.items()}
        return cls(record.started.problem, tuple(nodes), record.started.models, in_domain, of_question)

    def path(self, row: int) -> list[int]:
        """Rows from the first step below the question to ``row``; empty for the question."""
        path = []
        while row > 0:
            path.append(row)
            row = self.nodes[row].parent
        return path[::-1]

    def text(self, row: int) -> str:
        """The solution so far, from the first step to ``row``."""
        return "".join(self.nodes[at].text for at in self.path(row))

    def children(self) -> list[list[int]]:
        """Rows below each row, in the order in which they were added."""
        below: list[list[int]] = [[] for _ in self.nodes]
        for row, node in enumerate(self.nodes[1:], 1):
            below[node.parent].append(row)
        return below

    def leaves(self) -> list[int]:
        """Rows without a continuation; never the question."""
        return [row for row, below in enumerate(self.children()) if row and not below]

    def ends(self) -> list[int]:
        """Rows of trajectories that ended."""
        return [row for row, node in enumerate(self.nodes) if node.ended]

    def merged(self) -> SampledQuestion:
        """The question with equal siblings as one node, which has the outcomes of all.

        A sampler draws the same step again and again: as rows of their own equal prefixes would have two
        labels, together they have one probability, from more draws. Other values are the first one's.
        """
        nodes: list[SampledNode] = []
        row_of: list[int] = []
        seen: dict[tuple[object, ...], int] = {}
        for node in self.nodes:
            parent = -1 if node.parent < 0 else row_of[node.parent]
            row = seen.setdefault((parent, node.text, node.mode, node.ended), len(nodes))
            if row == len(nodes):
                nodes.append(replace(node, parent=parent))
            else:
                nodes[row] = replace(nodes[row], outcome=_sum(nodes[row].outcome, node.outcome))
            row_of.append(row)
        return self if len(nodes) == len(self.nodes) else replace(self, nodes=tuple(nodes))


def question_number(question: str, seed: int = 0) -> int:
    """63 bits of a digest of a text: the same in every source, so splits and copies agree."""
    text = " ".join(question.split())
    digest = hashlib.blake2b(f"{seed}\x00{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _sum(one: PrefixOutcome | None, other: PrefixOutcome | None) -> PrefixOutcome | None:
    return one + other if one is not None and other is not None else one or other
