"""What a search has found as OpenAI's ``chat.completion`` has it, and as the chunks of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from adascale.engine.answers.latex import readable
from adascale.engine.answers.program import read_program
from adascale.engine.evaluation.account import fixed_tokens
from adascale.engine.search.events import Event, PromptRead
from adascale.engine.search.record import Record
from adascale.engine.types import NodeId, SearchResult, Usage

from .chat import ChatRequest

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: its text, and whether it was cut by a limit of tokens."""

    content: str
    finish_reason: FinishReason


class PromptMeter:
    """Counts the tokens of a question's prompts; one that was read is followed by draws."""

    def __init__(self) -> None:
        self.usage = Usage()
        self._drawing = False

    def add(self, event: Event) -> None:
        """Take the next event of the search."""
        if self._drawing:
            return
        if isinstance(event, PromptRead):
            self.usage = self.usage + event.usage
        self._drawing = event.kind == "branch_started"


@dataclass(frozen=True, slots=True)
class Completion:
    """Writes the objects of one request.

    Attributes:
        id: Of the completion, ``chatcmpl-...``.
        created: Unix time.
        request: What was asked.
        fingerprint: Of the models.
    """

    id: str
    created: int
    request: ChatRequest
    fingerprint: str

    def whole(self, record: Record, prompt: Usage, reasoning: str) -> dict[str, Any]:
        """The object of a response that is not streamed."""
        choices = [
            {
                "index": n,
                "message": {
                    "role": "assistant",
                    "content": choice.content,
                    "refusal": None,
                    **(_reasoning(reasoning) if n == 0 and reasoning else {}),
                },
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for n, choice in enumerate(self.choices(record))
        ]
        body = self._object("chat.completion", choices)
        return {**body, "usage": usage_of(record, prompt), "adascale": summary(record)}

    def chunk(
        self, delta: Mapping[str, Any], index: int = 0, finish_reason: FinishReason | None = None
    ) -> dict[str, Any]:
        """A chunk of a stream."""
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = self._object("chat.completion.chunk", [choice])
        return {**chunk, "usage": None} if self.request.include_usage else chunk

    def reasoning_chunk(self, line: str) -> dict[str, Any]:
        """A chunk with a line of reasoning, under both names that clients look for."""
        return self.chunk(_reasoning(line))

    def last_chunks(self, record: Record, prompt: Usage, sent: str) -> Iterator[dict[str, Any]]:
        """The answers behind what was ``sent`` of the first one, the ends, and the usage."""
        choices = self.choices(record)
        for n, choice in enumerate(choices):
            rest = choice.content[len(sent) :] if n == 0 else choice.content
            if rest:
                yield self.chunk({"content": rest}, n)
        for n, choice in enumerate(choices):
            chunk = self.chunk({}, n, choice.finish_reason)
            yield {**chunk, "adascale": summary(record)} if n == 0 else chunk
        if self.request.include_usage:
            yield {**self._object("chat.completion.chunk", []), "usage": usage_of(record, prompt)}

    def choices(self, record: Record) -> list[Choice]:
        """The distinct answers, likeliest first, at most as many as were asked for."""
        result = record.result
        assert result is not None, "a search that failed has no answers"
        nodes = [group.nodes[0] for group in result.groups[: self.request.answers]]
        if result.best is not None:
            nodes[:1] = [result.best]
        if not nodes:
            return [Choice("", "length")]
        return [self._choice(record, node) for node in nodes]

    def _choice(self, record: Record, node: NodeId) -> Choice:
        last = record.tree[node].step
        text = record.tree.text(node).strip()
        if self.request.effort != "none":
            text = _with_answer(record, node, text)
        cut = last is not None and last.finish == "length"
        kept = cut_at_stop(text, self.request.stop)
        return Choice(kept, "length" if cut and kept == text else "stop")

    def _object(self, kind: str, choices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.request.model,
            "system_fingerprint": self.fingerprint,
            "choices": list(choices),
        }


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    """The text before the first of the stops."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def usage_of(record: Record, prompt: Usage) -> dict[str, Any]:
    """Tokens as OpenAI counts them: what was drawn and is not shown is reasoning."""
    read, generated = prompt.prompt_tokens + prompt.reused_tokens, record.usage.generated_tokens
    best = record.result.best if record.result is not None else None
    shown = 0 if best is None else sum(len(step.token_ids) for step in record.tree.steps(best))
    return {
        "prompt_tokens": read,
        "completion_tokens": generated,
        "total_tokens": read + generated,
        "prompt_tokens_details": {"cached_tokens": prompt.reused_tokens},
        "completion_tokens_details": {"reasoning_tokens": max(0, generated - shown)},
    }


def summary(record: Record) -> dict[str, Any]:
    """The ``adascale`` object: what the search found and what it cost; unknown is None."""
    result = record.result
    assert result is not None, "a search that failed has no summary"
    leading = result.groups[0].nodes if result.groups else ()
    return {
        "answer": result.answer,
        **_probability(result),
        "votes": {"agree": len(leading), "finished": len(record.candidates)},
        "stop_reason": result.stop_reason,
        "groups": [
            {"answer": group.answer, "votes": len(group.nodes), "weight": round(group.weight, 4)}
            for group in result.groups
        ],
        "tokens": record.usage.generated_tokens,
        "tokens_of_fixed_width": fixed_tokens(record),
        "flops": record.usage.flops,
        "seconds": round(record.t, 3),
        "seed": record.started.seed,
        "warnings": [notice.message for notice in record.notices],
    }


def _probability(result: SearchResult) -> dict[str, Any]:
    estimate = result.confidence
    if estimate is None or not estimate.calibrated:
        return {"probability": None, "interval": None, "score": estimate.median if estimate else None}
    interval = [round(estimate.lower, 4), round(estimate.upper, 4)]
    return {"probability": round(estimate.median, 4), "interval": interval, "score": None}


def _reasoning(text: str) -> dict[str, str]:
    return {"reasoning_content": text, "reasoning": text}


def _with_answer(record: Record, node: NodeId, text: str) -> str:
    """A solution with its answer below it; a program in a fence, with what it printed."""
    execution = record.tree[node].execution
    if execution is not None:
        code = read_program(text) or text
        text = f"```python\n{code.strip()}\n```\n\n{(execution.error or execution.output).strip()}"
    answer = next((each.answer for each in record.candidates if each.node == node), None)
    return f"{text}\n\nAnswer: {readable(answer)}" if answer else text
