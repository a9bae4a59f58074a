"""A guard against models that cannot program. It counts failures and agreement, so it needs no labels.

A model whose programs are of use prints an answer, and agrees with its prose about as often as its prose does
with itself (.73 to .92 of that on the frozen questions; 0 where programs are useless). docs/research.md has
what was measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations, product

from ..types import Mode
from .record import Record

FAILURES = 3
"""Programs without an answer, and none with one, that end programs for one question."""

_FIRST = 3
"""Solutions of each mode of a question that count: longer searches are of questions that are harder."""

_QUESTIONS = 20
"""Questions with programs before a model is judged."""

_AGREEING = 3.0
"""Questions whose prose agrees with itself before agreement is compared: with fewer it is luck."""

_LEAST = 0.4
"""Least agreement of programs with prose, over that of prose with prose."""

_FAILED = 0.7
"""Most programs that may fail. Those of the 0.5b for MATH, which gain points, fail at .45."""


@dataclass(frozen=True, slots=True)
class ProgramUse:
    """Programs and prose of one model, over questions.

    Attributes:
        questions: Number of questions with a program.
        programs: Programs that have ended.
        failed: Number of programs that gave no answer.
        prose_questions: Questions with two solutions in prose.
        prose_agreement: Sum over them of the share of pairs that agree.
        both_questions: Questions with prose and a program.
        both_agreement: The same sum, of pairs of one each.
    """

    questions: int = 0
    programs: int = 0
    failed: int = 0
    prose_questions: int = 0
    prose_agreement: float = 0.0
    both_questions: int = 0
    both_agreement: float = 0.0

    def after(self, record: Record) -> ProgramUse:
        """The counts after one more search; a search without a program changes nothing."""
        group_of = {node: at for at, group in enumerate(record.groups) for node in group.nodes}
        ended = [(record.tree[each.node].mode, group_of.get(each.node)) for each in record.candidates]
        programs, prose = _first("program", ended), _first("prose", ended)
        if not programs:
            return self
        alike, both = list(combinations(prose, 2)), list(product(prose, programs))
        return replace(
            self,
            questions=self.questions + 1,
            programs=self.programs + len(programs),
            failed=self.failed + programs.count(None),
            prose_questions=self.prose_questions + bool(alike),
            prose_agreement=self.prose_agreement + _agreement(alike),
            both_questions=self.both_questions + bool(both),
            both_agreement=self.both_agreement + _agreement(both),
        )

    @property
    def fault(self) -> str:
        """Why the model's programs are of no use, for people; empty while they may be."""
        if self.questions < _QUESTIONS:
            return ""
        if self.failed > _FAILED * self.programs:
            return f"{self.failed} of {self.programs} gave no answer"
        if self.prose_agreement < _AGREEING:
            return ""
        alike = self.prose_agreement / self.prose_questions
        both = self.both_agreement / max(1, self.both_questions)
        if both >= _LEAST * alike:
            return ""
        return f"they agree with prose in {both:.0%} of pairs, and prose with prose in {alike:.0%}"


def _first(mode: Mode, ended: Iterable[tuple[Mode, int | None]]) -> list[int | None]:
    return [group for each, group in ended if each == mode][:_FIRST]


def _agreement(pairs: list[tuple[int | None, int | None]]) -> float:
    """Share of pairs with the same answer."""
    return sum(a == b and a is not None for a, b in pairs) / len(pairs) if pairs else 0.0
