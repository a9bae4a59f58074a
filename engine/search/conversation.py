"""A conversation: the turns that a finished search leaves to the next question."""

from __future__ import annotations

from ..types import Turn
from .record import Record


def turns_after(record: Record) -> tuple[Turn, ...]:
    """The conversation before the search, its question, and its reply.

    Without a reply there is nothing to go on from: the conversation stays as it was, since a chat template
    wants turns of user and assistant to alternate.
    """
    problem, said = record.started.problem, _reply(record)
    if not said:
        return problem.history
    return (*problem.history, Turn("user", problem.question), Turn("assistant", said))


def _reply(record: Record) -> str:
    """The solution that was shown, as the model wrote it; of a program also what it printed.

    A reply that was stopped is what had been written of it.
    """
    tree, result = record.tree, record.result
    best = None if result is None else result.best
    if best is None and tree.problem.is_chat:
        best = tree.nodes[-1].id  # its steps follow each other
    if best is None:
        return record.answer or ""
    text, execution = tree.text(best).strip(), tree[best].execution
    printed = "" if execution is None else execution.output.strip()
    return f"{text}\n\nIt prints {printed}." if printed else text
