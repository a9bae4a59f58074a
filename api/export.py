"""Training data from searches: what traces and rollouts know, as JSON Lines that trainers read.

A satellite: it depends on the core, and nothing of the core imports it. A question with its tree of sampled
steps is the shape that every source is read into; each format has its columns and its writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from adascale.engine.kinds import kind_of
from adascale.engine.search.events import ModelDescription
from adascale.engine.search.outcomes import PrefixOutcome, prefix_outcomes
from adascale.engine.search.record import Record
from adascale.engine.strategies.beam import success_beta
from adascale.engine.types import MODES, Estimate, Mode, Problem, Turn
from adascale.models.calibration.rollouts import RolloutStore


@dataclass(frozen=True, slots=True)
class SampledNode:
    """One prefix: the question and all steps up to this one. Unknown values are None.

    Attributes:
        parent: Row of the prefix that it continues; -1 for the question. Parents come first.
        text: Its last step; empty for the question.
        mode: How it reasons; for the question the mode of its rollouts, or prose.
        ended: The trajectory ends here, by itself or at a limit.
        outcome: Number of judged draws through this prefix, and how many of them were correct.
        estimate: P(a trajectory with this prefix is correct).
    """

    parent: int
    text: str
    mode: Mode
    ended: bool
    outcome: PrefixOutcome
    estimate: Estimate | None = None

    @property
    def probability(self) -> float | None:
        """P(correct), in [0, 1]: known for an ended trajectory, or the posterior of estimate and outcome.

        The estimate is the prior, as a Beta distribution: alone it hardly tells siblings apart
        (AUC .47 to .62 within a question). Without a calibrated estimate it is the share of correct draws.
        """
        drawn = self.outcome
        if self.ended and drawn.total:
            return float(drawn.right == drawn.total)
        if self.estimate is not None and self.estimate.calibrated:
            right, wrong = success_beta(self.estimate)
            prior = self.estimate.median
            return (right + drawn.right) / (right + wrong + drawn.total) if drawn.total else prior
        return drawn.right / drawn.total if drawn.total else None


@dataclass(frozen=True, slots=True)
class SampledQuestion:
    """A question, and the prefixes that one generator sampled for it.

    Attributes:
        problem: The question, with its answer if that is known.
        nodes: Row 0 is the question.
        model: Name of the generator; empty if unknown.
    """

    problem: Problem
    nodes: tuple[SampledNode, ...]
    model: str = ""

    @classmethod
    def of(cls, record: Record) -> SampledQuestion:
        """The tree of a search; outcomes are known if the answer of its problem is."""
        problem = record.started.problem
        modes = {record.tree[found.node].mode for found in record.candidates}
        by_mode = [] if problem.answer is None else [prefix_outcomes(record, mode) for mode in modes]
        nodes = [
            SampledNode(
                parent=-1 if node.parent is None else node.parent,
                text=node.step.text if node.step else "",
                mode=node.mode,
                ended=node.step is not None and node.step.finish != "step",
                estimate=node.estimate,
                outcome=sum((found[node.id] for found in by_mode), PrefixOutcome()),
            )
            for node in record.tree
        ]
        return cls(problem, tuple(nodes), _name(record.started.models))

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

    def leaves(self) -> list[int]:
        """Rows without a continuation; never the question."""
        continued = {node.parent for node in self.nodes}
        return [row for row in range(1, len(self.nodes)) if row not in continued]

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
                nodes[row] = replace(nodes[row], outcome=nodes[row].outcome + node.outcome)
            row_of.append(row)
        return replace(self, nodes=tuple(nodes))


def read_rollouts(path: Path) -> Iterator[SampledQuestion]:
    """Yield every question of a store once for each mode: counted outcomes, and no estimates."""
    with closing(RolloutStore(path, read_only=True)) as store:
        model = _name(store.models())
        for rollouts in store.every():
            nodes = tuple(
                SampledNode(
                    parent=node.parent,
                    text=node.text,
                    mode=rollouts.mode,
                    ended=node.is_end,
                    outcome=PrefixOutcome(node.right, node.total),
                )
                for node in rollouts.nodes
            )
            yield SampledQuestion(rollouts.problem, nodes, model)


def _name(models: ModelDescription) -> str:
    return models.generator.name if models.generator else ""


Row = dict[str, Any]
"""A line of a file; what a trainer does not know (probabilities, ``mode``, ``model``) is in it too."""
FormatName = Literal["trl-prm", "trl-preference"]

MIN_GAP = 0.3
"""Minimum difference between the probabilities of a pair: that of two good solutions is noise."""

_NO_PROBABILITY = "steps without a probability"
_NO_PAIR = "questions whose solutions do not differ enough"
_FOLLOWS = "questions after a conversation, which the format has no column for"


def write_stepwise(question: SampledQuestion) -> Iterator[Row | str]:
    """Yield a row of TRL's stepwise supervision for every leaf, and reasons of omissions.

    It has the steps up to the first one without a probability, each with P(correct) and a label: true where
    that is at least one half.
    """
    problem = question.problem
    if problem.history:
        yield _FOLLOWS
        return
    for leaf in question.leaves():
        known: list[tuple[SampledNode, float]] = []
        for row in question.path(leaf):
            node = question.nodes[row]
            if node.probability is None:
                yield _NO_PROBABILITY
                break
            known.append((node, node.probability))
        if known:
            yield {
                "prompt": kind_of(problem).statement(problem),
                "completions": [node.text.rstrip() for node, _ in known],
                "labels": [p >= 0.5 for _, p in known],
                "probabilities": [p for _, p in known],
                "mode": known[-1][0].mode,
                "model": question.model,
            }


def write_preferences(question: SampledQuestion) -> Iterator[Row | str]:
    """Yield rows of TRL's preferences, and reasons of omissions: two solutions in one mode with P(correct).

    The likeliest is paired with the least likely, then inwards, while they are ``MIN_GAP`` apart; a solution
    is in one pair at most.
    """
    problem, count = question.problem, 0
    turns = [*problem.history, Turn("user", kind_of(problem).statement(problem))]
    for mode in MODES:
        rated = [
            (question.text(row), node.probability)
            for row, node in enumerate(question.nodes)
            if node.ended and node.mode == mode and node.probability is not None
        ]
        rated.sort(key=lambda each: -each[1])
        for (better, p_better), (worse, p_worse) in zip(rated[: len(rated) // 2], rated[::-1], strict=False):
            if p_better - p_worse >= MIN_GAP and better != worse:
                count += 1
                yield {
                    "prompt": [{"role": turn.role, "content": turn.content} for turn in turns],
                    "chosen": [{"role": "assistant", "content": better}],
                    "rejected": [{"role": "assistant", "content": worse}],
                    "p_chosen": p_better,
                    "p_rejected": p_worse,
                    "mode": mode,
                    "model": question.model,
                }
    if not count:
        yield _NO_PAIR


FORMATS: Mapping[FormatName, Callable[[SampledQuestion], Iterator[Row | str]]] = {
    "trl-prm": write_stepwise,
    "trl-preference": write_preferences,
}
