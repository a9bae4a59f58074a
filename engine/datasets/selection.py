"""What a user wants of a question: nodes that pass every filter, with all nodes above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..types import Mode
from .sampled import SampledNode, SampledQuestion
from .writing import NO_ANSWER


@dataclass(frozen=True, slots=True)
class Filters:
    """What has to hold; by default nothing.

    Attributes:
        calibrated: A step has an estimate that is a probability.
        in_domain: The question is like those that the calibration was fitted on.
        known_answers: The right answer is known.
        ran: A program ran to its end.
        min_count: Least number of draws through a step; 0 also where no draws were counted.
        max_tokens: Most tokens of a solution; None for any number.
        mode: How solutions reason; None for any mode.
    """

    calibrated: bool = False
    in_domain: bool = False
    known_answers: bool = False
    ran: bool = False
    min_count: int = 0
    max_tokens: int | None = None
    mode: Mode | None = None


def select(question: SampledQuestion, filters: Filters, omissions: Counter[str]) -> SampledQuestion | None:
    """The question with the nodes that pass; None where it does not pass itself.

    A node below one that does not pass is left out too; a question without any node may still be a prompt.

    Args:
        question: What was sampled.
        filters: What has to hold.
        omissions: Counts what is left out, by reason.
    """
    if filters == Filters():
        return question
    reason = _reason_against_question(question, filters)
    if reason is not None:
        omissions[reason] += 1
        return None
    refuses = _node_filter(filters)
    nodes, row_of, tokens = [question.nodes[0]], {0: 0}, {0: 0}
    for row, node in enumerate(question.nodes[1:], 1):
        if node.parent not in row_of:
            omissions["steps behind one that is left out"] += 1
            continue
        tokens[row] = tokens[node.parent] + node.tokens
        reason = refuses(node, tokens[row])
        if reason is not None:
            omissions[reason] += 1
            continue
        row_of[row] = len(nodes)
        nodes.append(node.below(row_of[node.parent]))
    return question if len(nodes) == len(question.nodes) else replace(question, nodes=tuple(nodes))


def _reason_against_question(question: SampledQuestion, filters: Filters) -> str | None:
    if filters.known_answers and question.problem.answer is None:
        return NO_ANSWER.reason
    if filters.in_domain and question.in_domain is not True:
        known = "outside of" if question.in_domain is False else "not known to be in"
        return f"questions {known} the calibration's domain"
    if filters.mode is not None and all(node.mode != filters.mode for node in question.nodes):
        return f"questions without a solution in mode {filters.mode}"
    return None


def _node_filter(filters: Filters) -> Callable[[SampledNode, int], str | None]:
    """What says why a node does not pass, from itself and the tokens of the solution so far."""

    def reason(node: SampledNode, tokens: int) -> str | None:
        if filters.mode not in (None, node.mode):
            return f"steps in another mode than {filters.mode}"
        if filters.calibrated and not node.calibrated:
            return "steps without a calibrated estimate"
        if filters.min_count and (node.outcome is None or node.outcome.total < filters.min_count):
            return f"steps with fewer than {filters.min_count} draws"
        if filters.max_tokens is not None and tokens > filters.max_tokens:
            return f"steps beyond {filters.max_tokens} tokens"
        if filters.ran and node.mode != "prose" and not node.ran:
            return "programs that failed, or are not known to have run"
        return None

    return reason
