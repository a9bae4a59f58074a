"""Value: a question whose answer is a number, a formula or a few words, such as 17 * 23.

Solutions reason in prose or as programs that print the answer; answers are equal by value.
"""

from __future__ import annotations

from ..answers.equality import is_right, same_answer
from ..answers.extract import solution_answer
from ..answers.program import executed_answer
from ..execution import Execution
from ..types import Finish, Mode, Problem, Same
from .base import Kind


class Value(Kind):
    """See the module."""

    def modes(self, problem: Problem) -> tuple[Mode, ...]:
        """Prose and programs."""
        return ("prose", "program")

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The output of the program, or the answer at the end of the prose."""
        return solution_answer(text, finish) if execution is None else executed_answer(execution)

    def equality(self, problem: Problem) -> Same:
        """True for two answers with the same value."""
        return same_answer

    def matches(self, problem: Problem, answer: str, known: str) -> bool:
        """True if it has the value of the known one."""
        return is_right(answer, gold=known)


KIND = Value()
