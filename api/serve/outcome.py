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
    NodeId,
    Notice,
    Usage,
    rounded_probability,
)

from .http import for_clients
from .request import SURE_LINE, Ask

_GUESS = "I don't know; this is the best guess.\n\n"


@dataclass(frozen=True, slots=True)
class Completion:
    """One of the answers that a client gets.

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
    def choices(self) -> list[Completion]:
        """As many as requested: different answers first, likeliest first; those without a text were cut."""
        if self.cut is not None:
            return [Completion(self.cut[0], "stop", self.cut[1])]
        if self.answer.fallback is not None:
            content, stopped_at = cut_at_stop(self.answer.solution, self.ask.stop)
            return [Completion(content, "stop", stopped_at)]
        if (tools := self.ask.tools) is not None:
            return [self._reply(tools)]
        read = [Completion(self.answer.shown or "", "stop")] if self._is_read else []
        found = [*read, *map(self._choice, self._nodes)][: self.ask.answers]
        if self.ask.is_told and self.ask.is_searched and self.record.band and found:
            line = SURE_LINE + " · ".join(self.record.support)
            found[0] = replace(found[0], content=f"{found[0].content}{line}")
        return found + [Completion("", "length")] * (self.ask.answers - len(found))

    @property
    def usage(self) -> Usage:
        """Tokens of the prompts, and generated ones of all solutions.

        A server's model says how long a prompt was behind each solution: those of the first of each mode.
        """
        prompt = self.prompt
        if not (prompt.prompt_tokens or prompt.reused_tokens):
            read = [node for node in self.record.tree if node.usage.prompt_tokens or node.usage.reused_tokens]
            first = {node.mode: node.usage for node in reversed(read)}.values()
            prompt = Usage(
                sum(each.prompt_tokens for each in first), sum(each.reused_tokens for each in first)
            )
        return replace(prompt, generated_tokens=self.record.usage.generated_tokens)

    @property
    def reasoning_tokens(self) -> int:
        """Generated tokens that are in no returned answer."""
        tree = self.record.tree
        nodes = tree if self.cut is not None else (each for node in self._nodes for each in tree.path(node))
        steps = {each.id: each.step for each in nodes if each.step is not None and not each.is_thought}
        return self.record.usage.generated_tokens - sum(len(each.token_ids) for each in steps.values())

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

    def _reply(self, asked: ToolRequest) -> Completion:
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
    def _is_read(self) -> bool:
        """True if no solution has chosen the answer: it was read from the options, or computed."""
        return self.answer.best is None and self.answer.answer is not None

    @property
    def _nodes(self) -> list[NodeId]:
        """The last node of each answer, likeliest first, and of other solutions, if more are requested.

        Plain replies come in the order in which they began.
        """
        if self.answer.fallback is not None:
            return []
        if not self.ask.is_searched and not self.ask.is_streamed:
            return [candidate.node for candidate in self.record.candidates]
        groups = self.answer.groups
        nodes = [group.nodes[0] for group in groups]
        if self.answer.best is not None:
            nodes[:1] = [self.answer.best]
        if self.ask.answers > 1:
            nodes += [node for group in groups for node in group.nodes]
            nodes += [candidate.node for candidate in self.record.candidates]
        return list(dict.fromkeys(nodes))[: self.ask.answers - self._is_read]

    def _choice(self, node: NodeId) -> Completion:
        tree = self.record.tree
        step, text = tree[node].step, tree.text(node).strip()
        if self.ask.is_searched:
            text = self._with_answer(node, text)
        kept, stopped_at = cut_at_stop(text, self.ask.stop)
        is_long = stopped_at is None and step is not None and step.finish == "length"
        if self.answer.is_guess and kept == self.answer.answer:  # a fact has no other words
            kept = _GUESS + kept
        return Completion(kept, "length" if is_long else "stop", stopped_at)

    def _with_answer(self, node: NodeId, text: str) -> str:
        """A solution with its answer below it; a program in a code block, with its output."""
        problem, execution = self.answer.problem, self.record.tree[node].execution
        if execution is not None:
            code = read_program(text) or text
            text = f"```python\n{code.strip()}\n```\n\n{(execution.error or execution.output).strip()}"
        elif not entry_of(problem).is_reply:
            text = without_latex(text)
        answer = next((group.answer for group in self.answer.groups if node in group.nodes), None)
        shown = kind_of(problem).shown(problem, answer, execution)
        if entry_of(problem).has_fields:
            return shown or ""
        if not shown or shown == text:
            return text
        guess = _GUESS if self.answer.is_guess else ""
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
