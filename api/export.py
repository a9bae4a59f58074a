"""Training data from searches, as JSON Lines that trainers read.

A satellite: it depends on the core, and nothing of the core imports it. A trace and kept rollouts are records
of searches; each format writes the sampled prefixes of a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from adascale.engine.kinds import kind_of
from adascale.engine.search.record import PrefixOutcome, Record, prefix_outcomes
from adascale.engine.strategies.beam import success_beta
from adascale.engine.types import MODES, Estimate, Mode, NodeId, Problem, Turn


@dataclass(slots=True, eq=False)
class Prefix:
    """All steps of a solution up to one of them.

    Attributes:
        parent: The prefix that it continues; None for the first step.
        step: Text of its last step.
        mode: How it reasons.
        ended: The solution ends here, by itself or at a limit.
        outcome: Number of judged solutions through this prefix, and how many of them were correct.
        estimate: P(a solution with this prefix is correct); None if unknown.
    """

    parent: Prefix | None
    step: str
    mode: Mode = "prose"
    ended: bool = False
    outcome: PrefixOutcome = field(default_factory=PrefixOutcome)
    estimate: Estimate | None = None

    @property
    def probability(self) -> float | None:
        """P(correct), in [0, 1]: known for an ended solution, or the posterior of estimate and outcome.

        The estimate is the prior, as a Beta distribution: alone it hardly separates siblings
        (AUC .47 to .62 within a question). Without a calibrated estimate it is the share of correct draws.
        """
        outcome = self.outcome
        if self.estimate is not None and self.estimate.calibrated and not (self.ended and outcome.total):
            right, wrong = success_beta(self.estimate)
            mean = (right + outcome.right) / (right + wrong + outcome.total)
            return mean if outcome.total else self.estimate.median
        if not outcome.total:
            return None
        return float(outcome.right == outcome.total) if self.ended else outcome.right / outcome.total

    @property
    def path(self) -> list[Prefix]:
        """The prefixes from the first step to this one."""
        return [*(self.parent.path if self.parent else ()), self]


@dataclass(frozen=True, slots=True)
class SampledQuestion:
    """A question, and the prefixes that one generator sampled for it.

    Attributes:
        problem: The question, with its answer if there is one.
        prefixes: Parents come first.
        model: Name of the generator; empty if unknown.
    """

    problem: Problem
    prefixes: Sequence[Prefix]
    model: str = ""

    @classmethod
    def of(cls, record: Record) -> Self:
        """The tree of a search; outcomes are known if the answer of its problem is.

        Equal siblings are one, with the outcomes of all: a sampler draws the same step again and again, which
        would have two labels otherwise. Other values are the first one's.
        """
        problem, generator = record.started.problem, record.started.models.generator
        outcomes = {} if problem.answer is None else prefix_outcomes(record)
        of_node: dict[NodeId | None, Prefix] = {}
        merged: dict[tuple[Prefix | None, str, Mode, bool], Prefix] = {}
        for node in record.tree:
            if node.step is not None:
                key = of_node.get(node.parent), node.step.text, node.mode, node.step.finish != "step"
                prefix = merged.setdefault(key, Prefix(*key, estimate=node.estimate))
                prefix.outcome += outcomes.get(node.id, PrefixOutcome())
                of_node[node.id] = prefix
        return cls(problem, [*merged.values()], generator.name if generator else "")


Row = dict[str, Any]
"""A line of a file, with fields that trainers ignore: probabilities, ``mode``, ``model``."""
FormatName = Literal["trl-prm", "trl-preference"]

MIN_GAP = 0.3
"""Minimum difference between the probabilities of a pair; smaller ones are noise."""

_NO_PROBABILITY = "steps without a probability"
_NO_PAIR = "questions whose solutions do not differ enough"
_FOLLOWS = "questions after a conversation, which the format has no column for"


def write_stepwise(question: SampledQuestion) -> Iterator[Row | str]:
    """Yield a row of TRL's stepwise supervision for every leaf, and reasons of omissions.

    It has the steps up to the first one without a probability, each with P(correct) and a label: true if
    that is at least one half.
    """
    problem = question.problem
    if problem.history:
        yield _FOLLOWS
        return
    continued = {prefix.parent for prefix in question.prefixes}
    for leaf in (prefix for prefix in question.prefixes if prefix not in continued):
        known: list[tuple[str, float]] = []
        for prefix in leaf.path:
            if (p := prefix.probability) is None:
                yield _NO_PROBABILITY
                break
            known.append((prefix.step.rstrip(), p))
        if known:
            steps, probabilities = zip(*known, strict=True)
            yield {
                "prompt": kind_of(problem).statement(problem),
                "completions": steps,
                "labels": [p >= 0.5 for p in probabilities],
                "probabilities": probabilities,
                "mode": leaf.mode,
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
            ("".join(each.step for each in prefix.path), p)
            for prefix in question.prefixes
            if prefix.ended and prefix.mode == mode and (p := prefix.probability) is not None
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
