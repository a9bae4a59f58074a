"""The account of a search: what was known at the start, what was drawn, what decided, what it has saved."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from ..answers.equality import same_answer
from ..answers.votes import group_answers
from ..search.events import (
    AllocationDecided,
    AnswerFound,
    BranchStarted,
    Event,
    SearchFinished,
    SearchStarted,
)
from ..search.tree import Tree
from ..types import ROOT, BranchId, Candidate


@dataclass(slots=True)
class Account:
    """Folds the events of one search; the tree is someone else's.

    Attributes:
        at_most: Trajectories that the strategy would draw at most; None where it has no such number.
        required: What the paper's rule asks for by the question's lower estimate, where that is known.
        started: Branches that were drawn.
        candidates: Finished trajectories.
    """

    at_most: int | None = None
    required: int | None = None
    started: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    _greedy: set[BranchId] = field(default_factory=set)

    def add(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case SearchStarted():
                self.at_most = event.params.get("samples")
            case AllocationDecided() if event.node == ROOT:
                self.required = event.required or self.required
            case BranchStarted():
                self.started += 1
                if event.greedy:
                    self._greedy.add(event.branch)
            case AnswerFound():
                self.candidates.append(Candidate(event.node, event.answer, event.estimate))
            case _:
                pass

    def fixed_tokens(self, tree: Tree) -> int | None:
        """What ``at_most`` trajectories would have cost, in generated tokens.

        By the mean of those that were drawn. One that was cut or stopped counts as long as the others that
        ended, or as it had become: short ones are those that end.
        """
        if self.at_most is None or not self.started:
            return None
        written: Counter[BranchId] = Counter()
        ended: set[BranchId] = set()
        for node in tree:
            if node.step is not None and node.branch is not None:
                written[node.branch] += len(node.step.token_ids)
                if node.status == "terminal":
                    ended.add(node.branch)
        if not ended:
            return None
        usual = fmean(written[branch] for branch in ended)
        whole = [tokens if branch in ended else max(tokens, usual) for branch, tokens in written.items()]
        return round(self.at_most * fmean(whole))

    def vote(self) -> str | None:
        """What most of the finished trajectories answer."""
        groups = group_answers(self.candidates)
        return groups[0].answer if groups else None

    def greedy(self, tree: Tree) -> str | None:
        """The answer of the trajectory of most likely tokens, where one was drawn and has an answer."""
        answers = (c.answer for c in self.candidates if tree[c.node].branch in self._greedy)
        return next(answers, None)

    def record(self, tree: Tree, end: SearchFinished) -> dict[str, Any]:
        """As JSON has it; unknown is None."""
        question, answer = tree[ROOT].estimate, end.result.answer
        return {
            "stop_reason": end.result.stop_reason,
            "question_p": question.median if question and question.calibrated else None,
            "required": self.required,
            "at_most": self.at_most,
            "started": self.started,
            "finished": len(self.candidates),
            "fixed_tokens": self.fixed_tokens(tree),
            "vote": self.vote(),
            "vote_agrees": _agrees(answer, self.vote()),
            "greedy": self.greedy(tree),
            "greedy_agrees": _agrees(answer, self.greedy(tree)),
        }


def _agrees(answer: str | None, other: str | None) -> bool | None:
    return None if answer is None or other is None else same_answer(answer, other)
