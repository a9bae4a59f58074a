"""Anthropic's messages: ``POST /v1/messages``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from .body import Body
from .fields import MAX_MESSAGES, Effort, Fields, Ignored, Nothing, Parts, Texts, Tokens, text_of
from .follow import Beginning
from .http import JsonObject, Refusal, event
from .outcome import Choice, SearchOutcome, TokenCount
from .protocol import Block, BlockWriter, Protocol, whole_blocks
from .request import AnswerRequest, ServedModel, read_conversation


class Message(Fields):
    """A message; the thinking of an earlier answer may come back, and models do not read it."""

    role: Literal["user", "assistant", "system"]
    content: Parts = []


class Thinking(Fields):
    """How to think; ``disabled`` writes one solution and searches nothing."""

    type: Literal["enabled", "adaptive", "disabled"]
    budget_tokens: Tokens | None = None
    display: Literal["summarized"] = "summarized"


class OutputFormat(Fields):
    """Options of the output."""

    effort: Effort | None = None
    format: None = None


class ToolChoice(Fields):
    """No tool is called."""

    type: Literal["auto", "none"]


class MessageBody(Body):
    """Body of a message."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES), FailFast()]
    system: Parts = []
    max_tokens: Tokens | None = None
    thinking: Thinking | None = None
    output_config: OutputFormat | None = None
    stop_sequences: Annotated[Texts, Field(max_length=16)] = []
    """Texts before which an answer is cut."""
    tools: Nothing = []
    tool_choice: ToolChoice | None = None
    container: None = None
    service_tier: Ignored = None
    speed: Ignored = None
    cache_control: Ignored = None


_THOUGHTS = ("thinking", "redacted_thinking")


def _read(body: MessageBody, served: ServedModel) -> AnswerRequest:
    said = [
        (each.role, text_of(each.content, f"messages[{n}].content", *_THOUGHTS))
        for n, each in enumerate(body.messages)
    ]
    thinking, is_plain = body.thinking, body.thinking is not None and body.thinking.type == "disabled"
    effort = body.output_config.effort if body.output_config is not None else None
    limits = (body.max_tokens, thinking.budget_tokens if thinking is not None else None)
    return served.read(
        body,
        read_conversation(said, text_of(body.system, "system"), "messages", len(said) - 1),
        "none" if is_plain else effort,
        "thinking" if is_plain else "output_config.effort",
        max_tokens=min((each for each in limits if each is not None), default=None),
        stop=body.stop_sequences,
    )


class MessageWriter(BlockWriter[MessageBody]):
    """Writes a message, or its events."""

    def whole(self, outcome: SearchOutcome, reasoning: str) -> JsonObject:
        """The message."""
        blocks = [_block(block) for block in whole_blocks(outcome, reasoning)]
        message = self._message(blocks, _usage(outcome.tokens))
        return {**message, **_end(outcome.choices[0]), "adascale": outcome.summary}

    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """The message without its content."""
        prompt = TokenCount(beginning.prompt.prompt_tokens, beginning.prompt.reused_tokens, 0, 0)
        yield _event("message_start", message=self._message([], _usage(prompt)))

    def opened(self, block: Block) -> Iterator[bytes]:
        """A new block."""
        yield _event("content_block_start", index=block.at, content_block=_block(block))

    def grown(self, block: Block, text: str) -> bytes:
        """A delta of a block."""
        type_ = _type(block)
        return _event("content_block_delta", index=block.at, delta={"type": f"{type_}_delta", type_: text})

    def closed(self, block: Block, *, is_cut: bool = False) -> Iterator[bytes]:
        """The end of a block."""
        yield _event("content_block_stop", index=block.at)

    def stay(self) -> Iterator[bytes]:
        """A ping."""
        yield _event("ping")

    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """The reason why it ended, and the usage."""
        yield from self.close(outcome)
        end, usage = _end(outcome.choices[0]), _usage(outcome.tokens)
        yield _event("message_delta", delta=end, usage=usage, adascale=outcome.summary)
        yield _event("message_stop")

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error object."""
        yield event(refusal.anthropic_body(), "error")

    def _message(self, blocks: Sequence[JsonObject], usage: JsonObject) -> JsonObject:
        return {
            "id": f"msg_{self.token}",
            "type": "message",
            "role": "assistant",
            "model": self.request.model,
            "content": blocks,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }


MESSAGES = Protocol("/v1/messages", "Anthropic's messages", MessageBody, _read, MessageWriter)


def _event(type_: str, **fields: Any) -> bytes:
    return event({"type": type_, **fields}, type_)


def _type(block: Block) -> str:
    return "thinking" if block.kind == "reasoning" else "text"


def _block(block: Block) -> JsonObject:
    type_ = _type(block)
    return {"type": type_, type_: block.text, **({"signature": ""} if type_ == "thinking" else {})}


def _end(choice: Choice) -> JsonObject:
    """The reason why a message has ended."""
    if choice.finish == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    reason = "end_turn" if choice.stopped_at is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": choice.stopped_at}


def _usage(tokens: TokenCount) -> JsonObject:
    """Tokens in Anthropic's terms: ``input_tokens`` are prompt tokens that were not cached."""
    return {
        "input_tokens": tokens.evaluated,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.generated,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
    }
