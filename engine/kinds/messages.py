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
    given: dict[KindName, str] = {}
    if schema is not None:
        given["json"] = "a schema was given"
    if choices:
        given["choice"] = "its options were given"
    if kind is not None:
        given.setdefault(kind, "it was asked for")
    if len(given) > 1:
        raise UsageError(
            f"a message is of one kind, not {' and '.join(given)}",
            "a schema makes it json, options make it a choice",
        )
    if not given:
        found = recognise_message(message)
        is_value = found.kind == "text" and is_searched
        given = {"value": "a search was asked for"} if is_value else {found.kind: found.why}
    [(kind, why)] = given.items()
    if kind == "code":
        raise UsageError("code is judged by tests, and a message has none", hint=command("code"))
    if choices:
        from .choice import with_options

        details = with_options(message, choices)
    else:
        details = kind_named(kind).read_details(message, {} if schema is None else {"schema": schema})
    return Problem(id_, message, history=history, kind=kind, why=why, details=details)
