"""The outcome of a search, for every protocol: the answers, the tokens, and the ``adascale`` object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from adascale.engine.answer import Answer as Given
from adascale.engine.answer import FallbackAnswer, cut_at_stop
from adascale.engine.answers.choosing import SearchResult
from adascale.engine.answers.latex import readable
from adascale.engine.answers.program import read_program
from adascale.engine.codec import to_plain
from adascale.engine.kinds import kind_of
from adascale.engine.search.record import Record
from adascale.engine.search.tree import Node
from adascale.engine.tools.calls import Call, ToolRequest, calls_of, read_reply
from adascale.engine.types import (
    Estimate,
    NodeId,
    Notice,
    TokenLogprob,
    Usage,
    probability_of,
    rounded_probability,
)

from .http import for_clients
from .request import AnswerRequest, public_sampling


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        content: The solution, up to where it was cut.
        finish: ``stop`` if it ended by itself or at a stop text, ``length`` if a token limit cut it.
        stopped_at: The stop text before which it was cut; None if there is none.
        logprobs: Log-probabilities of its tokens; None unless requested.
        calls: Tool calls; the content may be empty then.
    """

    content: str
    finish: Literal["stop", "length", "tool_calls"]
    stopped_at: str | None = None
    logprobs: Sequence[TokenLogprob] | None = None
    calls: Sequence[Call] = ()


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """A finished search.

    Attributes:
        request: The request.
        record: The search.
        prompt: Tokens of its prompts.
        cut: The reply and the stop text, if a stop text ended the search.
        handed_on: The fallback's answer, or why it has none; None if it was not asked.
    """

    request: AnswerRequest
    record: Record
    prompt: Usage
    cut: tuple[str, str | None] | None = None
    handed_on: FallbackAnswer | Notice | None = None

    @property
    def result(self) -> SearchResult:
        """The result of the search."""
        assert self.record.result is not None, "a search that failed has no result"
        return self.record.result

    @property
    def choices(self) -> list[Answer]:
        """The different answers, likeliest first: at least one, at most as many as requested."""
        if self.cut is not None:
            content, stopped_at = self.cut
            return [
                Answer(content, "stop", stopped_at, self._logprobs(self.record.tree, content, stopped_at))
            ]
        if isinstance(self.handed_on, FallbackAnswer):
            content, stopped_at = cut_at_stop(self.handed_on.text, self.request.stop)
            return [Answer(content, "stop", stopped_at)]
        if self.request.tools is not None:
            return [self._reply(self.request.tools)]
        read = self._read_option
        found = [*([Answer(read, "stop")] if read else []), *(self._choice(node) for node in self._nodes)]
        return found[: self.request.answers] or [Answer("", "length")]

    @property
    def usage(self) -> Usage:
        """Tokens of the prompts, and generated ones of all solutions."""
        return replace(self.prompt, generated_tokens=self.record.usage.generated_tokens)

    @property
    def reasoning_tokens(self) -> int:
        """Generated tokens that are in no returned answer; a step that two answers share counts once."""
        tree = self.record.tree
        nodes = tree if self.cut is not None else (each for node in self._nodes for each in tree.path(node))
        shown = {each.id: each for each in nodes if not each.is_thought}
        written = (len(node.step.token_ids) for node in shown.values() if node.step is not None)
        return self.record.usage.generated_tokens - sum(written)

    @property
    def summary(self) -> dict[str, Any]:
        """The ``adascale`` object: result and cost of the search; unknown values are None."""
        record, result = self.record, self.result
        agree, finished = record.agreement
        estimate = result.confidence
        score = None if estimate is None or estimate.calibrated else estimate.median
        notices = [*record.notices, *([self.handed_on] if isinstance(self.handed_on, Notice) else [])]
        return {
            "answer": result.answer,
            "kind": record.started.problem.kind,
            "why": record.started.problem.why or None,
            "options": dict(result.options) or None,
            "probability": rounded_probability(result.confidence),
            "interval": interval_of(result.confidence),
            "score": None if score is None else round(score, 4),
            "calibration": record.level,
            "votes": {"agree": agree, "finished": finished},
            "stop_reason": result.stop_reason,
            "groups": [
                {"answer": group.answer, "votes": len(group.nodes), "weight": round(group.weight, 4)}
                for group in result.groups
            ],
            **({"fields": to_plain(result.fields)} if record.started.problem.kind == "json" else {}),
            **({"alternatives": self._alternatives} if self.request.tools is not None else {}),
            "tokens": record.usage.generated_tokens,
            "flops": record.usage.flops,
            "seconds": round(record.t, 3),
            "seed": record.started.seed,
            "sampling": self._sampling,
            "ignored": list(self.request.ignored),
            "trace": record.started.problem.id,
            "warnings": [for_clients(notice.message) for notice in notices],
            **self._of_fallback,
        }

    @property
    def _of_fallback(self) -> dict[str, Any]:
        """Fields of the fallback's answer, whose probability is not known."""
        found = self.handed_on
        if not isinstance(found, FallbackAnswer):
            return {}
        unknown: dict[str, Any] = {"probability": None, "interval": None, "score": None}
        if self.record.started.problem.kind == "json":
            unknown["fields"] = {}
        return {
            "answer": found.answer,
            **unknown,
            "fallback": Given.of(self.record, handed_on=found).fallback_record,
        }

    def _reply(self, asked: ToolRequest) -> Answer:
        """The calls of a request with tools, or its reply.

        Calls that are not likely enough are replaced by a text that says so, and calls whose results are
        known by these results.
        """
        result, tree, stopped_at = self.result, self.record.tree, None
        step = None if result.best is None else tree[result.best].step
        if result.best is None or result.answer is None:
            words = self._known_results(asked)
        elif calls := calls_of(result.answer):
            words = self._doubt(calls)
            if not words:
                text = read_reply(tree.text(result.best), asked.tools).text
                return Answer(text, "tool_calls", calls=calls)
        else:
            words, stopped_at = cut_at_stop(tree.text(result.best).strip(), self.request.stop)
        is_long = stopped_at is None and (not words if step is None else step.finish == "length")
        return Answer(words, "length" if is_long else "stop", stopped_at)

    def _doubt(self, calls: Sequence[Call]) -> str:
        """Why calls are not made; empty if they are likely enough."""
        needed, known = self.request.min_probability, probability_of(self.result.confidence)
        if not needed or (known is not None and known >= needed):
            return ""
        named = " and ".join(dict.fromkeys(call.name for call in calls))
        likely = "nothing tells how likely it is" if known is None else f"it is {known:.0%} likely"
        doubt = f"{likely} to be correct, and it has to be {needed:.0%}"
        return f"I am not sure enough to call {named}: {doubt}."

    def _known_results(self, asked: ToolRequest) -> str:
        """The known results of the calls that the first reply repeats; empty if it repeats none."""
        texts = [self.record.tree.text(each.node) for each in self.record.candidates[:1]]
        calls = [call for text in texts for call in read_reply(text, asked.tools).calls]
        known = [(call.name, asked.known_result(call)) for call in calls]
        return "\n".join(f"The result of {name}: {result}" for name, result in known if result is not None)

    @property
    def _alternatives(self) -> list[dict[str, Any]]:
        """Every set of calls that was found, likeliest first: the calls, their probability and votes."""
        return [
            {
                "calls": [call.record() for call in calls_of(group.answer)],
                "probability": rounded_probability(self.record.tree[group.nodes[0]].estimate),
                "votes": len(group.nodes),
            }
            for group in self.result.groups
        ]

    @property
    def _read_option(self) -> str | None:
        """The answer, if it was read from the options without a solution."""
        if self.result.best is not None or not self.result.options:
            return None
        problem = self.record.started.problem
        return kind_of(problem).shown(problem, self.result.answer, None)

    @property
    def _sampling(self) -> dict[str, Any]:
        """The sampler of the solutions; where all are greedy, the temperature is 0."""
        sampling = public_sampling(self.record.started.models.sampling)
        drawn = [self.record.tree[each.node] for each in self.record.candidates]
        is_greedy = bool(drawn) and all(node.greedy for node in drawn)
        return {**sampling, "temperature": 0.0} if is_greedy else sampling

    @property
    def _nodes(self) -> list[NodeId]:
        """The last node of each answer, likeliest first; plain replies in the order in which they began."""
        if isinstance(self.handed_on, FallbackAnswer):
            return []
        if not self.request.ask.is_searched and not self.request.ask.is_streamed:
            return [candidate.node for candidate in self.record.candidates]
        others = self.request.answers - (self._read_option is not None)
        nodes = [group.nodes[0] for group in self.result.groups[:others]]
        if self.result.best is not None:
            nodes[:1] = [self.result.best]
        return nodes

    def _choice(self, node: NodeId) -> Answer:
        tree = self.record.tree
        step, text = tree[node].step, tree.text(node)
        text = text if self.request.ask.problem.is_raw else text.strip()
        if self.request.ask.is_searched:
            text = _with_answer(self.record, node, text)
        kept, stopped_at = cut_at_stop(text, self.request.stop)
        is_long = stopped_at is None and step is not None and step.finish == "length"
        logprobs = self._logprobs(tree.path(node), kept, stopped_at)
        if self.result.is_guess and kept == self.result.answer:  # a fact has no other words
            kept = _GUESS + kept
        return Answer(kept, "length" if is_long else "stop", stopped_at, logprobs)

    def _logprobs(
        self, nodes: Iterable[Node], content: str, stopped_at: str | None
    ) -> Sequence[TokenLogprob] | None:
        """Log-probabilities of an answer's tokens, without those of thoughts; None unless requested."""
        if self.request.ask.sampling.logprobs is None:
            return None
        steps = [node.step for node in nodes if node.step is not None and not node.step.is_thought]
        logprobs = [each for step in steps for each in step.logprobs]
        return _up_to(logprobs, content, is_cut=stopped_at is not None)


def interval_of(estimate: Estimate | None) -> tuple[float, float] | None:
    """The 10 and 90 % quantiles of a calibrated estimate, to four places."""
    if estimate is None or not estimate.calibrated:
        return None
    return round(estimate.lower, 4), round(estimate.upper, 4)


def _up_to(logprobs: Iterable[TokenLogprob], content: str, *, is_cut: bool) -> list[TokenLogprob]:
    """The tokens of an answer, without leading blanks and what a stop text cut off.

    Args:
        logprobs: All tokens of its solution.
        content: The answer.
        is_cut: A stop text cut it.
    """
    found, text = [], b""
    for each in logprobs:
        piece = bytes(each.piece)
        if not text and not (piece.strip() or content[:1].isspace()):
            continue
        if is_cut and len(text) >= len(content.encode()):
            break
        text += piece
        found.append(each)
    return found


_GUESS = "I don't know; this is the best guess.\n\n"


def _with_answer(record: Record, node: NodeId, text: str) -> str:
    """A solution with its answer below it; a program in a code block, with its output."""
    problem, execution = record.started.problem, record.tree[node].execution
    if execution is not None:
        code = read_program(text) or text
        text = f"```python\n{code.strip()}\n```\n\n{(execution.error or execution.output).strip()}"
    answer = next((each.answer for each in record.candidates if each.node == node), None)
    shown = kind_of(problem).shown(problem, answer, execution)
    if problem.kind == "json":
        return shown or ""
    if shown == text:
        return text
    guess = _GUESS if record.result is not None and record.result.is_guess else ""
    return f"{text}\n\n{guess}Answer: {readable(shown)}" if shown else text
