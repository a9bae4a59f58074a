"""Kinds of question: what is asked decides how it is answered. The protocol of a kind.

Each kind is a class, imported with its first problem: ``value`` has values, dates, facts and texts,
``choice`` and ``yes_no`` the questions with options, ``structured`` calls of tools and JSON. ``kind_table``
has a line for each; code tasks, a satellite, register theirs. ``recognising`` makes a problem of a message:
it tells its kind, by ``wording`` and by the options that ``options`` finds.
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
        """Ways of reasoning that make sense for a problem, the first of them without a calibration.

        By default all that its kind has.
        """
        return KINDS[problem.kind].modes

    def options(self, problem: Problem) -> tuple[str, ...]:
        """All answers that there can be, if they are known; empty if not."""
        return ()

    def option_prompts(self, problem: Problem) -> tuple[OptionsPrompt, ...]:
        """Looks at the options before any solution; empty for kinds without options."""
        return ()

    def computed(self, problem: Problem) -> str | None:
        """The answer, if it can be computed from the question alone; None if it has to be searched."""
        return None

    def tests(self, problem: Problem) -> tuple[str, ...]:
        """Sources of the tests that a search runs; ``Execution.verdicts`` has one verdict for each."""
        return ()

    def for_search(self, problem: Problem) -> Problem:
        """The problem without what only an evaluation may see."""
        return problem

    def program(self, problem: Problem, text: str) -> str | Trial | Execution:
        """The program in a trajectory's text, to be run or judged; an execution where its fate is known.

        By default it is run as it is, made to print its result.
        """
        source = read_program(text)
        return NO_PROGRAM if source is None else source

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

    def matches(self, problem: Problem, answer: str, gold: str) -> bool:
        """True if an answer of a trajectory says what the known one says: by default, if they are equal."""
        return self.equality(problem)(answer, gold)


@functools.cache
def kind_named(name: KindName) -> Kind:
    """The kind of that name; its module is imported now."""
    kind: Kind = pkgutil.resolve_name(KINDS[name].home)()
    return kind


def kind_of(problem: Problem) -> Kind:
    """The kind of a problem."""
    return kind_named(problem.kind)


def prompt_of(kind: KindName, mode: Mode) -> PromptName:
    """Prompt of the trajectories of a kind that reason in a mode."""
    entry = KINDS[kind]
    if mode == entry.modes[0] or entry.has_calls:
        return entry.prompt
    return entry.program if mode == "program" else mode


_DEFAULT: KindName = "value"


def recognise(question: str, record: Mapping[str, object]) -> tuple[KindName, Mapping[str, object]]:
    """Kind of a record in a file of questions, and what the kind needs besides the question.

    Its field ``kind`` says which, or a field that only records of one kind have; others are values.

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
    """True for a field that is not empty, or one that judges: an empty list of right calls is one."""
    is_judged = not entry.is_compared and record.get(entry.judged_by) is not None
    return is_judged or any(map(record.get, entry.fields))
