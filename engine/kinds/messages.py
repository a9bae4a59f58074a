"""A user's message as a problem: its kind is recognised, or forced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import UsageError, command
from ..types import KindName, Problem, Turn
from . import kind_named
from .recognising import recognise_message

_CHOSEN = "it was asked for"


def problem_of(
    id_: str,
    message: str,
    *,
    kind: KindName | None = None,
    choices: Sequence[str] = (),
    is_searched: bool = False,
    history: tuple[Turn, ...] = (),
    schema: Mapping[str, object] | None = None,
) -> Problem:
    """The problem that a message states.

    Args:
        id_: Id of the problem.
        message: The message.
        kind: Kind to take it for; None to recognise it.
        choices: Options that are given beside it, which make it a choice.
        is_searched: A search was asked for: a message that nobody can check is taken for a value.
        history: The conversation before it.
        schema: JSON schema of an object in which its content is wanted.

    Raises:
        UsageError: it cannot be of that kind.
    """
    details: Mapping[str, object] = {}
    if schema is not None:
        kind, why = "json", "a schema was given"
        details = kind_named(kind).read_details(message, {"schema": schema})
    elif choices:
        from .choice import with_options

        kind, why, details = "choice", "its options were given", with_options(message, choices)
    elif kind is not None:
        why = _CHOSEN
    else:
        found = recognise_message(message)
        kind, why = found.kind, found.why
        if kind == "text" and is_searched:
            kind, why = "value", "a search was asked for"
    if kind == "code":
        raise UsageError(
            "code is judged by tests, and a message has none",
            hint=command("code"),
        )
    details = details or kind_named(kind).read_details(message, {})
    return Problem(id_, message, history=history, kind=kind, why=why, details=details)
