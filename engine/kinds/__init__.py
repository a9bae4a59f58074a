"""Kinds of question: what is asked decides how it is answered. This is the table of them.

``base`` is the protocol that every kind implements. Each kind is one file, imported with its first problem;
code tasks are a satellite, which the table knows by the name of its module. ``recognising`` tells the kind of
a message, by ``wording`` and by the options that ``options`` and ``alternatives`` find; ``messages`` makes
the problem of one. A new kind is a name in ``types.KindName``, a file here, and a line in the table.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..types import KindName, Mode, Problem, PromptName
from .base import Kind


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table: what can be known of a kind without loading it.

    Attributes:
        home: Module whose ``KIND`` implements it.
        modes: Ways of reasoning, the one that every model knows first; ``Kind.modes`` says which make sense
            for a problem.
        prompt: Prompt of the first of them; other ways have their own, of the same name.
        noun: A trajectory, as a user reads it.
        fields: Fields of a record in a file of questions that make it one of this kind.
        judged_by: Field of a record that says what is right; empty where nothing can, and where answers
            have no probability.
        has_options: All its answers are known before a solution, and can be read.
    """

    home: str
    modes: tuple[Mode, ...]
    prompt: PromptName = "prose"
    noun: str = "solution"
    fields: Sequence[str] = ()
    judged_by: str = "answer"
    has_options: bool = False


KINDS: Mapping[KindName, Entry] = {
    "value": Entry("adascale.engine.kinds.value", ("prose", "program")),
    "choice": Entry(
        "adascale.engine.kinds.choice", ("prose",), "choice", fields=("options",), has_options=True
    ),
    "yes-no": Entry("adascale.engine.kinds.yes_no", ("prose", "program"), "yes-no", has_options=True),
    "fact": Entry("adascale.engine.kinds.fact", ("prose",), "fact"),
    "text": Entry("adascale.engine.kinds.text", ("prose",), noun="reply", judged_by=""),
    "code": Entry(
        "adascale.codetasks.kind",
        ("code",),
        "code",
        noun="program",
        fields=("tests", "hidden", "entry_point", "imports"),
        judged_by="hidden",
    ),
    "call": Entry(
        "adascale.engine.tools.kind",
        ("call", "prose"),
        "call",
        noun="reply",
        fields=("tools",),
        judged_by="accepted",
    ),
    "json": Entry("adascale.engine.kinds.json_object", ("prose",), "json"),
}
"""Every kind by name, with an example:

value: 17 * 23; solve x² = 9
choice: Which planet is the largest? A. Mars B. Jupiter
yes-no: Is 91 prime?
fact: What is the capital of Australia?
text: hi; write a haiku; explain recursion: nobody can check the reply
code: a task with tests that a program has to pass
call: What is the weather in Paris? beside tools that may be called
json: Two pizzas for Ann, please, beside the schema of an order
"""


@functools.cache
def kind_named(name: KindName) -> Kind:
    """The kind of that name; its module is imported now."""
    found: Kind = importlib.import_module(KINDS[name].home).KIND
    return found


def kind_of(problem: Problem) -> Kind:
    """The kind of a problem."""
    return kind_named(problem.kind)


def prompt_of(kind: KindName, mode: Mode) -> PromptName:
    """Prompt of the trajectories of a kind that reason in a mode."""
    return KINDS[kind].prompt if mode == KINDS[kind].modes[0] or kind == "call" else mode


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
    by_fields = [name for name, each in KINDS.items() if any(map(record.get, each.fields))]
    if "tools" in record and record.get("accepted") == []:  # no call is right: there may be no tool
        by_fields.append("call")
    name: KindName = next(iter([*declared, *by_fields]), "value")
    return name, kind_named(name).read_details(question, record)
