"""The outcome of a search, for every protocol: the choices, the tokens, and the ``adascale`` object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from adascale.engine.answer import Answer, FallbackAnswer, cut_at_stop
from adascale.engine.answers.latex import readable, without_latex
from adascale.engine.answers.program import read_program
from adascale.engine.codec import to_plain
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import kind_of
from adascale.engine.search.record import Record
from adascale.engine.tools.calls import Call, ToolRequest, calls_of, read_reply
from adascale.engine.types import (
    Notice,
    Usage,
    rounded_probability,
)

from .body import SURE_LINE
from .http import for_clients
from .request import Ask

_GUESS = "I don't know; this is the best guess.\n\n"


@dataclass(frozen=True, slots=True)
class Completion:
    """The reply that a client gets.

    Attributes:
        content: The solution, up to where it was cut.
        finish: ``stop`` if it ended by itself or at a stop text, ``length`` if a token limit cut it.
        stopped_at: The stop text before which it was cut; None if there is none.
        calls: Tool calls; the content may be empty then.
    """

    content: str
    finish: Literal["stop", "length", "tool_calls"]
    stopped_at: str | None = None
    calls: Sequence[Call] = ()


@dataclass(frozen=True)
class Outcome:
    """A finished search, as the writers of all protocols read it.

    Attributes:
        ask: The request.
        record: The search.
        prompt: Tokens of its prompts.
        cut: The reply and the stop text, if a stop text ended the search.
        handed_on: The fallback's answer, or why it has none; None if it was not asked.
    """

    ask: Ask
    record: Record
    prompt: Usage
    cut: tuple[str, str | None] | None = None
    handed_on: FallbackAnswer | Notice | None = None

    @cached_property
    def answer(self) -> Answer:
        """The answer of the search, or of the fallback."""
        return Answer.of(self.record, handed_on=self.handed_on)

    @cached_property
    def reply(self) -> Completion:
        """The reply; one without a text was cut."""
        answer, ask = self.answer, self.ask
        if self.cut is not None:
            return Completion(self.cut[0], "stop", self.cut[1])
        if answer.fallback is None and (tools := ask.tools) is not None:
            return self._with_calls(tools)
        content, stopped_at = cut_at_stop(self._text, ask.stop)
        step = None if answer.best is None else self.record.tree[answer.best].step
        is_long = not content if step is None else step.finish == "length"
        if ask.is_told and ask.is_searched and answer.band:
            content += SURE_LINE + " · ".join(self.record.support)
        return Completion(content, "length" if is_long and stopped_at is None else "stop", stopped_at)

    @property
    def usage(self) -> Usage:
        """Tokens of the prompts, and generated ones of all solutions.

        A server's model says how long a prompt was behind each solution: it is that of the first one.
        """
        sizes = [self.prompt, *(node.usage for node in self.record.tree)]
        prompt = next((each for each in sizes if each.prompt_tokens or each.reused_tokens), Usage())
        return replace(prompt, generated_tokens=self.record.usage.generated_tokens)

    @property
    def reasoning_tokens(self) -> int:
        """Generated tokens that are not in the reply."""
        tree, best = self.record.tree, None if self.answer.fallback else self.answer.best
        nodes = tree if self.cut is not None else [] if best is None else tree.path(best)
        steps = [each.step for each in nodes if each.step is not None and not each.is_thought]
        return self.record.usage.generated_tokens - sum(len(step.token_ids) for step in steps)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The ``adascale`` object: result and cost of the search; unknown values are None."""
        record, answer, problem = self.record, self.answer, self.answer.problem
        return {
            **result_of(answer),
            "why": problem.why or None,
            "calibration": record.level,
            "measured": answer.measured,
            "groups": [{"answer": group.answer, "votes": len(group.nodes)} for group in answer.groups],
            "texts": {each: kind_of(problem).shown(problem, each, None) for each in answer.options} or None,
            **({"fields": to_plain(answer.fields)} if entry_of(problem).has_fields else {}),
            "ignored": list(self.ask.ignored),
            "trace": problem.id,
            **({} if answer.fallback is None else {"fallback": answer.fallback_record}),
        }

    def _with_calls(self, asked: ToolRequest) -> Completion:
        """The calls of a request with tools, or its reply.

        Calls whose results are known are replaced by these results.
        """
        answer, tree, stopped_at = self.answer, self.record.tree, None
        step = None if answer.best is None else tree[answer.best].step
        if answer.best is None or answer.answer is None:
            words = self._known_results(asked)
        elif calls := calls_of(answer.answer):
            return Completion(read_reply(tree.text(answer.best), asked.tools).text, "tool_calls", calls=calls)
        else:
            words, stopped_at = cut_at_stop(answer.solution, self.ask.stop)
        is_long = stopped_at is None and (not words if step is None else step.finish == "length")
        return Completion(words, "length" if is_long else "stop", stopped_at)

    def _known_results(self, asked: ToolRequest) -> str:
        """The known results of the calls that the first reply repeats; empty if it repeats none."""
        texts = [self.record.tree.text(each.node) for each in self.record.candidates[:1]]
        calls = [call for text in texts for call in read_reply(text, asked.tools).calls]
        known = [(call.name, asked.known_result(call)) for call in calls]
        return "\n".join(f"The result of {name}: {result}" for name, result in known if result is not None)

    @property
    def _text(self) -> str:
        """A solution with its answer below it; a program in a code block, with its output."""
        answer, entry = self.answer, entry_of(self.answer.problem)
        shown, text, execution = answer.shown or "", answer.solution, answer.execution
        guess = _GUESS if answer.is_guess else ""
        if answer.fallback is not None or not self.ask.is_searched:
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


def result_of(answer: Answer) -> dict[str, Any]:
    """The answer of a search, how sure it is and what it cost, for HTTP and MCP; unknown values are None."""
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
