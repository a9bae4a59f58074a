"""Filters of ``export``: the nodes of a question that pass, with all nodes above them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from adascale.engine.types import Mode

from .formats import NO_ANSWER
from .sampled import SampledNode, SampledQuestion


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions on questions and steps; by default none.

    Attributes:
        calibrated: Keep steps with a calibrated estimate.
        in_domain: Keep questions like those that the calibration was fitted on.
        known_answers: Keep questions whose answer is known.
        ran: Keep programs that ran to their end.
        min_count: Minimum number of draws through a step; 0 admits steps without a count.
        max_tokens: Maximum length of a solution.
        mode: Keep one way of reasoning; None keeps all.
    """

    calibrated: bool = False
    in_domain: bool = False
    known_answers: bool = False
    ran: bool = False
    min_count: int = 0
    max_tokens: int | None = None
    mode: Mode | None = None

    def select(self, question: SampledQuestion, omissions: Counter[str]) -> SampledQuestion | None:
        """The question with the nodes that pass; None if the question itself does not.

        A node below one that does not pass is left out too. A question without any node may be a prompt.

        Args:
            question: A question with its steps.
            omissions: Counts what is left out, by reason.
        """
        if (reason := self._against_question(question)) is not None:
            omissions[reason] += 1
            return None
        first = question.nodes[0]
        if self.mode is not None and question.by_mode:
            first = replace(first, outcome=question.by_mode.get(self.mode))
        if self.mode not in (None, first.mode):
            first = replace(first, mode=self.mode, estimate=None)  # that of the other mode's prompt
        nodes, row_of, tokens = [first], {0: 0}, {0: 0}
        for row, node in enumerate(question.nodes[1:], 1):
            if node.parent not in row_of:
                omissions["steps behind one that is left out"] += 1
                continue
            tokens[row] = tokens[node.parent] + node.tokens
            if (reason := self._against_step(node, tokens[row])) is not None:
                omissions[reason] += 1
                continue
            row_of[row] = len(nodes)
            nodes.append(replace(node, parent=row_of[node.parent]))
        return replace(question, nodes=tuple(nodes))

    def _against_question(self, question: SampledQuestion) -> str | None:
        if self.known_answers and question.problem.answer is None:
            return NO_ANSWER
        if self.in_domain and question.in_domain is not True:
            known = "outside of" if question.in_domain is False else "not known to be in"
            return f"questions {known} the calibration's domain"
        if self.mode is not None and all(node.mode != self.mode for node in question.nodes[1:]):
            return f"questions without a solution in mode {self.mode}"
        return None

    def _against_step(self, node: SampledNode, tokens: int) -> str | None:
        """The reason to leave a step out; ``tokens`` is the length of the solution up to it."""
        if self.mode not in (None, node.mode):
            return f"steps in another mode than {self.mode}"
        if self.calibrated and not node.calibrated:
            return "steps without a calibrated estimate"
        if self.min_count and (node.outcome is None or node.outcome.total < self.min_count):
            return f"steps in fewer than {self.min_count} solutions"
        if self.max_tokens is not None and tokens > self.max_tokens:
            return f"steps beyond {self.max_tokens} tokens"
        if self.ran and node.mode != "prose" and not node.ran:
            return "programs that failed, or are not known to have run"
        return None
