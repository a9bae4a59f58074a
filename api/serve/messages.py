"""Anthropic's messages: ``POST /v1/messages``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adascale.engine.types import Usage

from .body import Body
from .http import JsonObject, Refusal, event
from .outcome import Outcome
from .stream import Block, Writer


class MessageWriter(Writer[Body]):
    """Writes a message, or its events."""

    path = "/v1/messages"

    def whole(self, outcome: Outcome) -> JsonObject:
        """The message."""
        usage = _usage(outcome.usage, outcome.reasoning_tokens)
        message = self._message([self._block(block) for block in self.blocks], usage)
        return {**message, **_end(outcome), "adascale": outcome.summary}

    def begin(self) -> Iterator[bytes]:
        """The message without its content; the last event has the usage."""
        yield _event("message_start", message=self._message([], _usage(Usage())))

    def opened(self, block: Block) -> Iterator[bytes]:
        """A new block."""
        yield _event("content_block_start", index=block.at, content_block=self._block(block))

    def grown(self, block: Block, text: str) -> bytes:
        """A delta of a block."""
        type_, field = _DELTAS[block.kind]
        return _event("content_block_delta", index=block.at, delta={"type": type_, field: text})

    def closed(self, block: Block, *, is_cut: bool = False) -> Iterator[bytes]:
        """The end of a block."""
        yield _event("content_block_stop", index=block.at)

    def keep_alive(self) -> bytes:
        """A ping."""
        return _event("ping")

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The reason why it ended, and the usage."""
        usage = _usage(outcome.usage, outcome.reasoning_tokens)
        yield _event("message_delta", delta=_end(outcome), usage=usage, adascale=outcome.summary)
        yield _event("message_stop")

    def fail(self, refusal: Refusal) -> bytes:
        """The error object."""
        return event(refusal.body(self.path), "error")

    def _block(self, block: Block) -> JsonObject:
        if block.call is not None:
            head = {"type": "tool_use", "id": f"toolu_{self.token}_{block.at}", "name": block.call.name}
            return {**head, "input": block.call.arguments if block.text else {}}
        if block.kind == "reasoning":
            return {"type": "thinking", "thinking": block.text, "signature": ""}
        return {"type": "text", "text": block.text}

    def _message(self, blocks: Sequence[JsonObject], usage: JsonObject) -> JsonObject:
        return {
            "id": f"msg_{self.token}",
            "type": "message",
            "role": "assistant",
            "model": self.ask.model,
            "content": blocks,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }


def _event(type_: str, **fields: Any) -> bytes:
    return event({"type": type_, **fields}, type_)


_DELTAS = {
    "reasoning": ("thinking_delta", "thinking"),
    "answer": ("text_delta", "text"),
    "call": ("input_json_delta", "partial_json"),
}
_ENDS = {"length": "max_tokens", "tool_calls": "tool_use"}


def _end(outcome: Outcome) -> JsonObject:
    """The reason why a message has ended."""
    stopped_at = outcome.stopped_at
    reason = "end_turn" if stopped_at is None else "stop_sequence"
    return {"stop_reason": _ENDS.get(outcome.finish, reason), "stop_sequence": stopped_at}


def _usage(usage: Usage, reasoning: int = 0) -> JsonObject:
    """Tokens in Anthropic's terms: ``input_tokens`` are prompt tokens that were not cached."""
    return {
        "input_tokens": usage.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.reused_tokens,
        "output_tokens": usage.generated_tokens,
        "output_tokens_details": {"thinking_tokens": reasoning},
    }
