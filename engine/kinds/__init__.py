"""Kinds of question: the kind decides how a question is answered. The protocol of a kind.

Each kind is a class, imported with its first problem: ``value`` has values, dates, facts and texts,
``choice`` and ``yes_no`` the questions with options, ``structured`` calls of tools and JSON. ``kind_table``
has a line for each; ``codetasks`` registers its own. ``recognising`` makes a problem of a message: it finds
the kind by the patterns of ``wording`` and the options of ``options``.
"""

from __future__ import annotations

import functools
import operator
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..answers.program import read_program
from ..kind_table import KINDS as KINDS
from ..kind_table import Entry
from ..kind_table import entry_of as entry_of
from ..types import Execution, Finish, KindName, Mode, Problem, PromptName, Same, Trial

Run = Callable[[str | Trial], Execution]
"""Runs a program to its end, or has tests judge it; never raises."""


@dataclass(frozen=True, slots=True)
class OptionsPrompt:
    """A prompt without a written reply: the logits of its first token show which option the model favours.

    Attributes:
        prompt: Prompt around the text.
        text: The question with its options.
        words: First word of the reply for each option, in the order of the options.
        options: The options, if they differ from the options of the problem.
    """

    prompt: PromptName
    text: str
    words: tuple[str, ...]
    options: tuple[str, ...] = ()


NO_PROGRAM = Execution("", "there is no program in the text", 0.0)


class Kind(ABC):
    """A kind of question; stateless.

    The defaults fit a question with a known answer, which the model reads as the user typed it.
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
        """Modes of reasoning for a problem; without a calibration a search uses the first.

        By default all modes of its kind.
        """
        return KINDS[problem.kind].modes

    def options(self, problem: Problem) -> tuple[str, ...]:
        """All possible answers, if there is a list of them; otherwise empty."""
        return ()

    def option_prompts(self, problem: Problem) -> tuple[OptionsPrompt, ...]:
        """Prompts that read the options before any solution; empty for kinds without options."""
        return ()

    def computed(self, problem: Problem) -> str | None:
        """The answer, if the question alone gives it; None if it takes a search."""
        return None

    def tests(self, problem: Problem) -> tuple[str, ...]:
        """Sources of the tests of a search; ``Execution.verdicts`` has one verdict for each."""
        return ()

    def for_search(self, problem: Problem) -> Problem:
        """The problem without fields that only an evaluation may see."""
        return problem

    def program(self, problem: Problem, text: str) -> str | Trial | Execution:
        """The program in the text of a solution, to be run or judged; an execution if the text has none.

        By default it runs as it is, and prints its result.
        """
        source = read_program(text)
        return NO_PROGRAM if source is None else source

    @abstractmethod
    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The answer of a finished solution, in the form for comparisons and lists; None without one.

        Args:
            problem: The problem.
            mode: How it reasons.
            text: The solution without its thoughts.
            finish: Why its last step ended.
            execution: Result of its program; None for prose.
        """

    def equality(self, problem: Problem) -> Same:
        """Equality of answers, which decides who shares votes; by default answers that are spelled alike."""
        return operator.eq

    def shown(self, problem: Problem, answer: str | None, execution: Execution | None) -> str | None:
        """The answer as a user reads it; by default itself.

        Args:
            problem: The problem.
            answer: The chosen one.
            execution: Result of the program of the best solution; None for prose.
        """
        return answer

    def is_judged(self, problem: Problem) -> bool:
        """True if the correct answer is known."""
        return problem.answer is not None

    def is_right(
        self, problem: Problem, answer: str | None, execution: Execution | None, run: Run | None
    ) -> bool:
        """True if a solution of a judged problem is correct: its answer matches the known one.

        Args:
            problem: The problem, with the fields for an evaluation.
            answer: The answer of the solution.
            execution: Result of its program; None for prose.
            run: Runs programs; for kinds with tests.
        """
        assert problem.answer is not None, "the answer of the question is not known"
        return answer is not None and self.matches(problem, answer, problem.answer)

    def matches(self, problem: Problem, answer: str, gold: str) -> bool:
        """True if an answer means the same as the known one; by default, if they are equal."""
        return self.equality(problem)(answer, gold)


@functools.cache
def kind_named(name: KindName) -> Kind:
    """The kind of a name; imports its module."""
    kind: Kind = pkgutil.resolve_name(KINDS[name].home)()
    return kind


def kind_of(problem: Problem) -> Kind:
    """The kind of a problem."""
    return kind_named(problem.kind)


def prompt_of(kind: KindName, mode: Mode) -> PromptName:
    """Prompt of a kind's solutions in a mode."""
    entry = KINDS[kind]
    if mode == entry.modes[0] or entry.has_calls:
        return entry.prompt
    return entry.program if mode == "program" else mode


_DEFAULT: KindName = "value"


def recognise(question: str, record: Mapping[str, object]) -> tuple[KindName, Mapping[str, object]]:
    """Kind of a record in a file of questions, and the details of the problem.

    The field ``kind`` names it, or a field that only records of one kind have; other records are values.

    Args:
        question: Text of the question.
        record: All fields of the record.

    Raises:
        UsageError: a field of the kind cannot be read.
    """
    declared = [name for name in KINDS if name == record.get("kind")]
    of_fields = [name for name, entry in KINDS.items() if _has_fields_of(record, entry)]
    name = [*declared, *of_fields, _DEFAULT][0]
    return name, kind_named(name).read_details(question, record)


def _has_fields_of(record: Mapping[str, object], entry: Entry) -> bool:
    """True for a field with a value, or a field that judges: an empty list of accepted calls is a value."""
    is_judged = not entry.is_compared and record.get(entry.judged_by) is not None
    return is_judged or any(map(record.get, entry.fields))
