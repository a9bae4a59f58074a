"""Are calls correct: the rule of the Berkeley Function Calling Leaderboard (``ast_checker`` of 2026.3.23).

Each call has to match an entry of its own: the same tool, only known arguments with accepted values, and only
optional arguments left out (those with ``""`` among their values).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .equality import plain
from .tool import Call


def is_accepted(calls: Sequence[Call], accepted: Any) -> bool:
    """True if calls and entries match one to one, in any order.

    Args:
        calls: The calls.
        accepted: A list of ``{name: {argument: [accepted values]}}``; empty if it is correct to call nothing.
    """
    left = [*accepted]
    for call in calls:
        fitting = (each for each in left if call.name in each)
        entry = next((each for each in fitting if _fits_object(call.arguments, each[call.name])), None)
        if entry is None:
            return False
        left.remove(entry)
    return not left


def _fits_object(given: Mapping[str, Any], accepted: Mapping[str, Sequence[Any]]) -> bool:
    """True if each argument has one of its accepted values, and only optional ones are missing."""
    is_known = all(any(_is_one(each, one) for one in accepted.get(name, ())) for name, each in given.items())
    return is_known and all(name in given or "" in values for name, values in accepted.items())


def _is_one(value: Any, accepted: Any) -> bool:
    """Texts are compared without case, blanks and punctuation; an accepted object has lists of values."""
    match value, accepted:
        case str(), str():
            return plain(value) == plain(accepted)
        case list(), list():
            pairs = zip(value, accepted, strict=False)
            return len(value) == len(accepted) and all(_is_one(one, other) for one, other in pairs)
        case dict(), dict():
            if all(isinstance(each, list) for each in accepted.values()):
                return _fits_object(value, accepted)
            return value.keys() == accepted.keys() and all(
                _is_one(value[key], accepted[key]) for key in value
            )
        case _:
            return isinstance(value, bool) == isinstance(accepted, bool) and bool(value == accepted)
