"""The judge of calls: the rule of the Berkeley Function Calling Leaderboard.

A file of questions has the calls that are right in its field ``accepted``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adascale.engine.kind_table import KINDS, register
from adascale.engine.kinds import Run, kind_named
from adascale.engine.kinds.structured import ToolCall
from adascale.engine.tools.calls import Call, calls_of
from adascale.engine.tools.equality import plain
from adascale.engine.types import Execution, Problem


class JudgedToolCall(ToolCall):
    """Requests with tools whose right calls are known."""

    def read_details(self, question: str, record: Mapping[str, object]) -> Mapping[str, object]:
        """The conversation, the tools, and the accepted calls."""
        return {**super().read_details(question, record), "accepted": record.get("accepted")}

    def for_search(self, problem: Problem) -> Problem:
        """The problem without the accepted calls."""
        details = {name: value for name, value in problem.details.items() if name != "accepted"}
        return replace(problem, details=details)

    def is_judged(self, problem: Problem) -> bool:
        """True if the accepted calls are known."""
        return problem.details.get("accepted") is not None

    def is_right(
        self, problem: Problem, answer: str | None, execution: Execution | None, run: Run | None
    ) -> bool:
        """True if the calls are accepted."""
        return answer is not None and is_accepted(calls_of(answer), problem.details["accepted"])


def register_judge() -> None:
    """Judge requests with tools by this rule; to be called before a file of them is read."""
    register("call", KINDS["call"]._replace(home=f"{__name__}:JudgedToolCall"))
    kind_named.cache_clear()


def is_accepted(calls: Sequence[Call], accepted: Any) -> bool:
    """True if calls and entries match one to one, in any order.

    Args:
        calls: The calls.
        accepted: A list of ``{name: {argument: [accepted values]}}``; empty if it is correct to call nothing.
    """
    left = [*accepted]
    for call in calls:
        fits = (one for one in left if call.name in one and _fits_object(call.arguments, one[call.name]))
        entry = next(fits, None)
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
            return len(value) == len(accepted) and all(map(_is_one, value, accepted))
        case dict(), dict() if all(isinstance(each, list) for each in accepted.values()):
            return _fits_object(value, accepted)
        case _:
            return isinstance(value, bool) == isinstance(accepted, bool) and bool(value == accepted)
