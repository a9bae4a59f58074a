"""A user's message as a problem: its kind is recognised, or forced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import UsageError, command
from ..types import KindName, Problem, Turn
from . import kind_named
from .recognising import recognise_message


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
    _check_one_kind(kind, choices, schema)
    if schema is not None:
        kind, why = "json", "a schema was given"
    elif choices:
        kind, why = "choice", "its options were given"
    elif kind is not None:
        why = "it was asked for"
    else:
        kind, why = _recognised(message, is_searched=is_searched)
    if kind == "code":
        raise UsageError("code is judged by tests, and a message has none", hint=command("code"))
    if choices and schema is None:
        from .choice import with_options

        details = with_options(message, choices)
    else:
        details = kind_named(kind).read_details(message, {} if schema is None else {"schema": schema})
    return Problem(id_, message, history=history, kind=kind, why=why, details=details)


def _check_one_kind(kind: KindName | None, choices: Sequence[str], schema: object) -> None:
    stated = [*(["json"] if schema is not None else []), *(["choice"] if choices else [])]
    stated += [] if kind is None else [kind]
    if len(set(stated)) > 1:
        raise UsageError(
            f"a message is of one kind, not {' and '.join(stated)}",
            "a schema makes it json, options make it a choice",
        )


def _recognised(message: str, *, is_searched: bool) -> tuple[KindName, str]:
    found = recognise_message(message)
    if found.kind == "text" and is_searched:
        return "value", "a search was asked for"
    return found.kind, found.why
