"""Anthropic's messages: ``POST /v1/messages``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from adascale.engine.types import Turn

from ..http.errors import Refusal
from ..http.fields import (
    FLAG,
    WITHOUT_EFFECT,
    FieldType,
    JsonObject,
    by_type,
    objects,
    one_of,
    only,
    shape,
    texts,
)
from ..search.follow import Beginning
from ..search.outcome import Choice, SearchOutcome, TokenCount
from ..search.request import EFFORTS, TOKENS, AnswerRequest, ServedModel
from .conversation import MAX_MESSAGES, content, read_conversation, text_part
from .rendering import Dialect, Stamp, event

_MAX_STOPS = 16

_TEXT = text_part("text", "cache_control", "citations")

_THINKING = shape({"type": only("thinking"), "thinking": WITHOUT_EFFECT, "signature": WITHOUT_EFFECT})
"""A part of an earlier answer, which clients send back; models do not read it."""

_MESSAGE = shape(
    {
        "role": one_of("user", "assistant", "system"),
        "content": content({"text": _TEXT, "thinking": _THINKING}),
    },
    "role",
)

_DISPLAY = {"display": only("summarized")}

_THINKING_CONFIG = by_type(
    {
        "enabled": shape({"type": only("enabled"), "budget_tokens": TOKENS, **_DISPLAY}, "budget_tokens"),
        "adaptive": shape({"type": only("adaptive"), **_DISPLAY}),
        "disabled": shape({"type": only("disabled")}),
    }
)


def _fields(served: ServedModel) -> FieldType:
    return shape(
        {
            **served.fields,
            "messages": objects(_MESSAGE, MAX_MESSAGES, least=1),
            "system": content({"text": _TEXT}),
            "max_tokens": TOKENS,
            "thinking": _THINKING_CONFIG,
            "output_config": shape({"effort": one_of(*EFFORTS)}),
            "stop_sequences": texts(_MAX_STOPS),
            "stream": FLAG,
            "service_tier": only("auto", "standard_only"),
            "speed": only("standard"),
            "tools": only([]),
            "tool_choice": only({"type": "auto"}, {"type": "none"}),
            "cache_control": WITHOUT_EFFECT,
            "metadata": WITHOUT_EFFECT,
            "container": only(),
        },
        "messages",
    )


def _read(body: JsonObject, served: ServedModel, stamp: Stamp) -> MessageWriter:
    model, thinking = body.get("model", served.name), body.get("thinking", {})
    history, question = read_conversation(body["messages"], "messages")
    if system := body.get("system"):
        history = (Turn("system", system), *history)
    is_plain = thinking.get("type") == "disabled"
    effort = "none" if is_plain else body.get("output_config", {}).get("effort")
    limits = [each for each in (body.get("max_tokens"), thinking.get("budget_tokens")) if each is not None]
    request = AnswerRequest(
        model=model,
        question=question,
        history=history,
        effort=served.effort_for(
            question,
            model,
            effort,
            "thinking" if is_plain else "output_config.effort",
            body.get("temperature"),
        ),
        max_tokens=min(limits, default=None),
        seed=body.get("seed"),
        stop=body.get("stop_sequences", ()),
        stream=body.get("stream", False),
    )
    request = served.sampled(request, body)
    return MessageWriter(request, stamp)


MESSAGES = Dialect("/v1/messages", "Anthropic's messages", _fields, _read)

_BlockType = Literal["thinking", "text"]


class MessageWriter:
    """Writes a message, or its events; ``Rendering`` says what its methods are for.

    Args:
        request: What was asked.
        stamp: What the message says of itself.
    """

    def __init__(self, request: AnswerRequest, stamp: Stamp) -> None:
        self.request = request
        self.stamp = stamp
        self._blocks: list[_BlockType] = []
        """All that were begun; the last one is open."""

    def whole(self, outcome: SearchOutcome, reasoning: str) -> JsonObject:
        """The message."""
        choice = outcome.choices[0]
        thinking = [_block("thinking", reasoning)] if reasoning else []
        message = self._message([*thinking, _block("text", choice.content)], _usage(outcome.tokens))
        return {**message, **_end(choice), "adascale": outcome.summary}

    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """The message without its content."""
        prompt = TokenCount(beginning.prompt.prompt_tokens, beginning.prompt.reused_tokens, 0, 0)
        yield _event("message_start", message=self._message([], _usage(prompt)))

    def reason(self, line: str) -> Iterator[bytes]:
        """A delta of the thinking block."""
        yield from self._add("thinking", line)

    def write(self, text: str) -> Iterator[bytes]:
        """A delta of the text block."""
        yield from self._add("text", text)

    def stay(self) -> Iterator[bytes]:
        """A ping."""
        yield _event("ping")

    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """Why it ended, and what it cost."""
        yield from self._add("text", "")
        yield from self._close()
        end, usage = _end(outcome.choices[0]), _usage(outcome.tokens)
        yield _event("message_delta", delta=end, usage=usage, adascale=outcome.summary)
        yield _event("message_stop")

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error's body."""
        yield event(refusal.anthropic_body(), "error")

    def _add(self, type_: _BlockType, text: str) -> Iterator[bytes]:
        """Text for a block of this type, which is begun if it is another one that is open."""
        if self._blocks[-1:] != [type_]:
            yield from self._close()
            self._blocks.append(type_)
            yield _event("content_block_start", index=self._at, content_block=_block(type_, ""))
        if text:
            delta = {"type": f"{type_}_delta", type_: text}
            yield _event("content_block_delta", index=self._at, delta=delta)

    def _close(self) -> Iterator[bytes]:
        if self._blocks:
            yield _event("content_block_stop", index=self._at)

    @property
    def _at(self) -> int:
        """Index of the open block."""
        return len(self._blocks) - 1

    def _message(self, blocks: Sequence[JsonObject], usage: JsonObject) -> JsonObject:
        return {
            "id": f"msg_{self.stamp.token}",
            "type": "message",
            "role": "assistant",
            "model": self.request.model,
            "content": blocks,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }


def _event(type_: str, **fields: Any) -> bytes:
    return event({"type": type_, **fields}, type_)


def _block(type_: _BlockType, text: str) -> JsonObject:
    return {"type": type_, type_: text, **({"signature": ""} if type_ == "thinking" else {})}


def _end(choice: Choice) -> JsonObject:
    """Why a message has ended."""
    if choice.finish == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    reason = "end_turn" if choice.stopped_at is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": choice.stopped_at}


def _usage(tokens: TokenCount) -> JsonObject:
    """Tokens as Anthropic counts them: ``input_tokens`` are those of a prompt that were not cached."""
    return {
        "input_tokens": tokens.evaluated,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.generated,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
    }
