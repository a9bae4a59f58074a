"""The outcome of a search for the writers of all protocols: reply, tokens and the ``adascale`` object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from adascale.engine.answer import Answer, cut_at_stop
from adascale.engine.answers.latex import readable, without_latex
from adascale.engine.answers.program import read_program
from adascale.engine.codec import to_plain
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import kind_of
from adascale.engine.tools.calls import Call, ToolRequest, calls_of, read_reply
from adascale.engine.types import Usage, rounded_probability

from .body import SURE_LINE
from .http import for_clients
from .request import Ask

_GUESS = "I don't know; this is the best guess.\n\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished search as a client gets it.

    Attributes:
        answer: The answer of the search, or of the fallback.
        content: The reply, up to a stop text.
        finish: ``stop`` if it ended by itself or at a stop text, ``length`` if a token limit cut it.
        stopped_at: The stop text that cut it; None if none did.
        calls: Tool calls; the content may be empty then.
        usage: Tokens of the prompts, and generated tokens of all solutions.
        reasoning_tokens: Generated tokens that are not in the reply.
        summary: The ``adascale`` object: result and cost of the search; unknown values are None.
    """

    answer: Answer
    content: str
    finish: Literal["stop", "length", "tool_calls"]
    stopped_at: str | None
    calls: Sequence[Call]
    usage: Usage
    reasoning_tokens: int
    summary: dict[str, Any]


def outcome_of(ask: Ask, answer: Answer, sent: str = "", stopped_at: str | None = None) -> Outcome:
    """The outcome of a request.

    Args:
        ask: The request.
        answer: Its answer.
        sent: Text that was streamed before a stop text ended the search.
        stopped_at: That stop text; None if none did.
    """
    tree, problem, content = answer.record.tree, answer.problem, sent
    calls: Sequence[Call] = ()
    step = None if answer.best is None else tree[answer.best].step
    shown = [] if answer.best is None or answer.fallback else tree.path(answer.best)
    if stopped_at is not None:
        shown = tree.nodes
    elif not entry_of(problem).has_calls:
        content, stopped_at = cut_at_stop(_text(ask, answer), ask.stop)
        if ask.is_told and ask.is_searched and answer.band:
            content += SURE_LINE + " · ".join(answer.record.support)
    elif answer.best is None or answer.answer is None:
        content = _known_results(answer)
    elif calls := calls_of(answer.answer):
        content = read_reply(tree.text(answer.best), ToolRequest.of(problem.details).tools).text
    else:
        content, stopped_at = cut_at_stop(answer.solution, ask.stop)
    is_cut = stopped_at is None and (not content if step is None else step.finish == "length")
    # A server reports the length of the prompt with each solution: the first one counts.
    prompts = (node.usage for node in tree if node.usage.prompt_tokens or node.usage.reused_tokens)
    generated = answer.record.usage.generated_tokens
    visible = [node.step for node in shown if node.step is not None and not node.is_thought]
    return Outcome(
        answer,
        content,
        "tool_calls" if calls else "length" if is_cut else "stop",
        stopped_at,
        calls,
        replace(next(prompts, Usage()), generated_tokens=generated),
        generated - sum(len(step.token_ids) for step in visible),
        _summary(ask, answer),
    )


def _text(ask: Ask, answer: Answer) -> str:
    """A solution with its answer below it; a program in a code block, with its output."""
    shown, text, execution = answer.shown or "", answer.solution, answer.execution
    entry = entry_of(answer.problem)
    guess = _GUESS if answer.is_guess else ""
    if answer.fallback is not None or not ask.is_searched:
        return text
    if answer.best is None or entry.has_fields:  # nothing was written, or the object is all
        return shown
    if execution is not None:
        code = read_program(text) or text
        text = f"```python\n{code.strip()}\n```\n\n{(execution.error or execution.output).strip()}"
    elif not entry.is_reply:
        text = without_latex(text)
    if not shown or shown == text:
        return guess + text if text == answer.answer else text  # a fact has no other words
    return f"{text}\n\n{guess}Answer: {readable(shown)}"


def _known_results(answer: Answer) -> str:
    """The results of the calls that the first reply repeats; empty if it repeats none."""
    request, record = ToolRequest.of(answer.problem.details), answer.record
    texts = [record.tree.text(candidate.node) for candidate in record.candidates[:1]]
    calls = [call for text in texts for call in read_reply(text, request.tools).calls]
    results = [(call.name, request.known_result(call)) for call in calls]
    return "\n".join(f"The result of {name}: {result}" for name, result in results if result is not None)


def _summary(ask: Ask, answer: Answer) -> dict[str, Any]:
    problem = answer.problem
    texts = {option: kind_of(problem).shown(problem, option, None) for option in answer.options}
    return {
        **result_of(answer),
        "why": problem.why or None,
        "calibration": answer.record.level,
        "measured": answer.measured,
        "groups": [{"answer": group.answer, "votes": len(group.nodes)} for group in answer.groups],
        "texts": texts or None,
        **({"fields": to_plain(answer.fields)} if entry_of(problem).has_fields else {}),
        "ignored": list(ask.ignored),
        "trace": problem.id,
        **({} if answer.fallback is None else {"fallback": answer.fallback_record}),
    }


def result_of(answer: Answer) -> dict[str, Any]:
    """The answer of a search, its probability and its cost, for HTTP and MCP; unknown values are None."""
    record, estimate = answer.record, answer.confidence
    agree, finished = record.agreement
    return {
        "answer": answer.answer,
        "kind": answer.problem.kind,
        "options": dict(answer.options) or None,
        "probability": rounded_probability(estimate),
        "band": answer.band,
        "support": [] if answer.answer is None or answer.fallback else record.support,
        "interval": None
        if estimate is None or not estimate.calibrated
        else (round(estimate.lower, 4), round(estimate.upper, 4)),
        "votes": {"agree": agree, "finished": finished},
        "stop_reason": answer.stop_reason,
        "tokens": record.usage.generated_tokens,
        "seconds": round(record.t, 3),
        "seed": record.started.seed,
        "warnings": [for_clients(notice.message) for notice in answer.notices],
    }
