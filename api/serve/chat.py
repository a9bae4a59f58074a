"""OpenAI's chat completions: ``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import AliasPath, Field

from .body import Body
from .http import JsonObject, Refusal, event
from .outcome import Outcome
from .stream import Block, Writer


class ChatBody(Body):
    """Body of a chat completion."""

    n: Literal[1] = 1
    """Number of replies."""
    include_usage: bool = Field(False, validation_alias=AliasPath("stream_options", "include_usage"))
    """The stream ends with a chunk that has the usage."""


def call_id(token: str, block: Block) -> str:
    """Id of a call, by the token of the answer."""
    return f"call_{token}_{block.at}"


class ChatWriter(Writer[ChatBody]):
    """Writes a ``chat.completion``, or its chunks, of which the last one is ``[DONE]``."""

    path = "/v1/chat/completions"

    def whole(self, outcome: Outcome) -> JsonObject:
        """The object."""
        calls = [self._call(block) for block in self.blocks if block.call is not None]
        reasoning, content = self.text("reasoning"), self.text("answer")
        message = {
            "role": "assistant",
            "content": content or None if calls else content,
            "refusal": None,
            **({"tool_calls": calls} if calls else {}),
            **(_reasoning(reasoning) if reasoning else {}),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": outcome.finish}
        return {
            **self._object("chat.completion", [choice]),
            "usage": _usage(outcome),
            "adascale": outcome.summary,
        }

    def begin(self) -> Iterator[bytes]:
        """The role."""
        yield self._chunk({"role": "assistant", "content": ""})

    def grown(self, block: Block, text: str) -> bytes:
        """A chunk with reasoning, text or a call."""
        if block.kind == "reasoning":
            return self._chunk(_reasoning(text))
        if block.kind == "answer":
            return self._chunk({"content": text})
        place = sum(earlier.call is not None for earlier in self.blocks) - 1
        return self._chunk({"tool_calls": [{"index": place, **self._call(block)}]})

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The reason why it has ended, and the usage."""
        yield self._chunk({}, outcome.finish, adascale=outcome.summary)
        if self.body.include_usage:
            yield self._chunk(None, usage=_usage(outcome))
        yield b"data: [DONE]\n\n"

    def fail(self, refusal: Refusal) -> bytes:
        """The error object."""
        return event(refusal.body())

    def _chunk(self, delta: JsonObject | None, finish: str | None = None, **more: Any) -> bytes:
        """A chunk with a choice, unless it has no delta, and with further fields."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        choices = [] if delta is None else [choice]
        return event({**self._object("chat.completion.chunk", choices), **more})

    def _object(self, kind: str, choices: Sequence[JsonObject]) -> JsonObject:
        return {
            "id": f"chatcmpl-{self.token}",
            "object": kind,
            "created": self.created,
            "model": self.ask.model,
            "choices": choices,
        }

    def _call(self, block: Block) -> JsonObject:
        assert block.call is not None
        function = {"name": block.call.name, "arguments": block.text}
        return {"id": call_id(self.token, block), "type": "function", "function": function}


def _reasoning(text: str) -> JsonObject:
    """Reasoning under both names that clients look for."""
    return {"reasoning_content": text, "reasoning": text}


def _usage(outcome: Outcome) -> JsonObject:
    """Tokens in OpenAI's terms: generated ones that are not shown are reasoning."""
    usage = outcome.usage
    prompt = usage.prompt_tokens + usage.reused_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.generated_tokens,
        "total_tokens": prompt + usage.generated_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.reused_tokens},
        "completion_tokens_details": {"reasoning_tokens": outcome.reasoning_tokens},
    }
