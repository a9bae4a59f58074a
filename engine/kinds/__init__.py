"""Kinds of question: what is asked decides how it is answered. This is the table of them.

``base`` is the protocol that every kind implements (decision 0027). Each kind is one file, imported with its
first problem: ``value`` (an answer that can be compared), ``text`` (a plain reply), and code tasks, a
satellite, which the table knows by the name of its module. A new kind is a name in ``types.KindName``, a file
here, and a line in the table.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..types import KindName, Mode, Problem
from .base import Kind


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table: what can be known of a kind without loading it.

    Attributes:
        home: Module whose ``KIND`` implements it.
        modes: Ways of reasoning, the one that every model knows first.
        noun: A trajectory, as a user reads it.
        fields: Fields of a record in a file of questions that make it one of this kind.
        judged_by: Field of a record that says what is right; empty where nothing can.
        is_calibrated: Calibrations are fitted for it.
    """

    home: str
    modes: tuple[Mode, ...]
    noun: str = "solution"
    fields: Sequence[str] = ()
    judged_by: str = "answer"
    is_calibrated: bool = True


KINDS: Mapping[KindName, Entry] = {
    "value": Entry("adascale.engine.kinds.value", ("prose", "program")),
    "text": Entry("adascale.engine.kinds.text", ("prose",), "reply", judged_by="", is_calibrated=False),
    "code": Entry(
        "adascale.codetasks.kind",
        ("code",),
        "program",
        fields=("tests", "hidden", "entry_point", "imports"),
        judged_by="hidden",
    ),
}
"""Every kind by name: value (17 * 23; solve x² = 9), text (a message whose reply nobody can check) and code
(a program that passes tests)."""


@functools.cache
def kind_named(name: KindName) -> Kind:
    """The kind of that name; its module is imported now."""
    found: Kind = importlib.import_module(KINDS[name].home).KIND
    return found


def kind_of(problem: Problem) -> Kind:
    """The kind of a problem."""
    return kind_named(problem.kind)


def recognise(question: str, record: Mapping[str, object]) -> tuple[KindName, Mapping[str, object]]:
    """Kind of a record in a file of questions, and what the kind needs besides the question.

    Args:
        question: Text of the question.
        record: All fields of the record.

    Raises:
        UsageError: a field of the kind cannot be read.
    """
    for name, entry in KINDS.items():
        if any(record.get(field) for field in entry.fields):
            return name, kind_named(name).read_details(question, record)
    return "value", {}
