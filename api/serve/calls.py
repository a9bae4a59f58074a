"""The tool calls of an answer, or the text instead of calls that are not likely enough."""

from __future__ import annotations

from typing import Any

from adascale.engine.search.record import Record
from adascale.engine.search.reply import cut_at_stop
from adascale.engine.tools.reading import read_reply
from adascale.engine.tools.tool import Call, ToolRequest, calls_of
from adascale.engine.types import probability_of, rounded_probability

from .request import AnswerRequest


def shown_calls(record: Record, request: AnswerRequest) -> tuple[str, tuple[Call, ...], str | None]:
    """The text of an answer, its calls, and the stop text before which the text was cut.

    Calls that are not likely enough are replaced by a text that says so, and calls whose results are known by
    these results.

    Args:
        record: The finished search of a request with tools.
        request: The request.
    """
    result = record.result
    asked = ToolRequest.of(record.started.problem.details)
    if result is None or result.best is None or result.answer is None:
        return _known_results(record, asked), (), None
    text, calls = record.tree.text(result.best), calls_of(result.answer)
    if not calls:
        kept, stopped_at = cut_at_stop(text.strip(), request.stop)
        return kept, (), stopped_at
    tools = asked.tools
    needed = max(request.min_probability, *(tools[call.name].min_probability for call in calls))
    known = probability_of(result.confidence)
    if needed and (known is None or known < needed):
        named = " and ".join(dict.fromkeys(call.name for call in calls))
        likely = "nothing tells how likely it is" if known is None else f"it is {known:.0%} likely"
        doubt = f"{likely} to be correct, and it has to be {needed:.0%}"
        return f"I am not sure enough to call {named}: {doubt}.", (), None
    return read_reply(text, tools).text, calls, None


def _known_results(record: Record, asked: ToolRequest) -> str:
    """The known results of the calls that the first reply repeats; empty if it repeats none."""
    calls = [
        call
        for each in record.candidates[:1]
        for call in read_reply(record.tree.text(each.node), asked.tools).calls
    ]
    known = [(call.name, asked.known_result(call)) for call in calls]
    return "\n".join(f"The result of {name}: {result}" for name, result in known if result is not None)


def alternatives(record: Record) -> list[dict[str, Any]]:
    """Every answer that was found, likeliest first: its calls, its probability, its votes."""
    groups = record.result.groups if record.result is not None else ()
    return [
        {
            "calls": [call.record() for call in calls_of(group.answer)],
            "probability": rounded_probability(record.tree[group.nodes[0]].estimate),
            "votes": len(group.nodes),
        }
        for group in groups
    ]
