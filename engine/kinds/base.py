"""The protocol of a kind of question: what is asked, how a text becomes an answer, when two are equal."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..answers.program import read_program
from ..execution import Execution, Trial
from ..types import Finish, Mode, Problem, PromptName, Same

Run = Callable[[str | Trial], Execution]
"""Runs a program to its end, or has tests judge it; never raises."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """A program in a trajectory's text, made ready to run.

    Attributes:
        source: Python source, or a program with its tests, for an executor to run.
    """

    source: str | Trial

    def ran(self, execution: Execution) -> Execution:
        """Result of the program, given that of ``source``."""
        return execution


@dataclass(frozen=True, slots=True)
class Look:
    """A prompt whose reply is not written: the logits of its first token tell what the model favours.

    Attributes:
        prompt: Prompt that the text is read in.
        text: The question with its options.
        words: Beginning of the reply that stands for each option, by the place of the option.
        options: The options, where they are not those of the problem.
    """

    prompt: PromptName
    text: str
    words: tuple[str, ...]
    options: tuple[str, ...] = ()


NO_PROGRAM = Execution("", "there is no program in the text", 0.0)


class Kind(ABC):
    """A kind of question; stateless.

    The defaults are those of a question that has a known answer and is asked as it was typed.
    """

    def read_details(self, question: str, record: Mapping[str, object]) -> Mapping[str, object]:
        """``Problem.details`` of a record in a file of questions.

        Raises:
            UsageError: a field of the record cannot be read.
        """
        return {}

    def statement(self, problem: Problem) -> str:
        """The question as the generator reads it, in the prompt of any mode."""
        return problem.question

    def modes(self, problem: Problem) -> tuple[Mode, ...]:
        """Ways of reasoning that make sense for a problem, the first of them without a calibration."""
        return ("prose",)

    def options(self, problem: Problem) -> tuple[str, ...]:
        """All answers that there can be, if they are known; empty if not."""
        return ()

    def looks(self, problem: Problem) -> tuple[Look, ...]:
        """Looks at the options before any solution; empty for kinds without options."""
        return ()

    def tests(self, problem: Problem) -> tuple[str, ...]:
        """Sources of the tests that a search runs; ``Execution.verdicts`` has one verdict for each."""
        return ()

    def for_search(self, problem: Problem) -> Problem:
        """The problem without what only an evaluation may see."""
        return problem

    def program(self, problem: Problem, text: str) -> Runnable | Execution:
        """The program in a trajectory's text; an execution where its fate is known without running it.

        By default it is run as it is, made to print its result.
        """
        source = read_program(text)
        return NO_PROGRAM if source is None else Runnable(source)

    @abstractmethod
    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The answer of a trajectory that has ended, as answers are compared and listed; None without one.

        Args:
            problem: The problem.
            mode: How it reasons.
            text: All of it but its thoughts.
            finish: Why its last step ended.
            execution: Result of its program; None for prose.
        """

    def equality(self, problem: Problem) -> Same:
        """Tells which answers of a problem are equal, so that they share their votes: those spelled alike."""
        return operator.eq

    def shown(self, problem: Problem, answer: str | None, execution: Execution | None) -> str | None:
        """The answer as a user gets it: itself.

        Args:
            problem: The problem.
            answer: The chosen one.
            execution: Result of the program of the trajectory that is shown; None for prose.
        """
        return answer

    def is_judged(self, problem: Problem) -> bool:
        """True if the correct answer is known."""
        return problem.answer is not None

    def is_right(
        self, problem: Problem, answer: str | None, execution: Execution | None, run: Run | None
    ) -> bool:
        """True if a trajectory of a judged problem is correct: its answer matches the known one.

        Args:
            problem: With what only an evaluation may see.
            answer: The answer of the trajectory.
            execution: Result of its program; None for prose.
            run: Runs programs; needed by kinds whose answers are judged by tests.
        """
        assert problem.answer is not None, "the answer of the question is not known"
        return answer is not None and self.matches(problem, answer, problem.answer)

    def matches(self, problem: Problem, answer: str, known: str) -> bool:
        """True if an answer of a trajectory says what the known one says: by default, if they are equal."""
        return self.equality(problem)(answer, known)
