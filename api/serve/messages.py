"""Anthropic's messages: ``POST /v1/messages``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AliasPath, BeforeValidator, Field

from adascale.engine.tools.calls import Choice
from adascale.engine.types import Usage

from .body import (
    Arguments,
    Body,
    Fields,
    Function,
    Named,
    Part,
    Parts,
    as_parts,
    text_of,
)
from .http import JsonObject, Refusal, event
from .outcome import Completion, Outcome
from .request import Ask, Messages, ServedModel, calling, returned, spoken
from .stream import Block, BlockWriter, Protocol


class MessagePart(Part):
    """A part of a message: a text, a call of a tool, or its result."""

    id: str = ""
    name: str = ""
    input: Arguments = {}
    tool_use_id: str = ""
    content: Parts = []


class Message(Fields):
    """A message; the thinking of an earlier answer may come back, and models do not read it."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[
        list[MessagePart],
        BeforeValidator(as_parts),
    ] = []


class ToolChoice(Fields):
    """The tools that may be called: as the model decides, any, a named one, or none."""

    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool = False


class MessageBody(Body):
    """Body of a message."""

    messages: Annotated[list[Message], Field(min_length=1)]
    system: Parts = []
    thinking: Literal["enabled", "adaptive", "disabled"] = Field(
        "enabled", validation_alias=AliasPath("thinking", "type")
    )
    """``disabled`` writes one solution and searches nothing."""
    tools: list[Function] = []
    tool_choice: ToolChoice = ToolChoice(type="auto")


_CHOICES: Mapping[str, Choice] = {"auto": "auto", "any": "required", "tool": "required", "none": "none"}


def _spoken(message: Message) -> list[JsonObject]:
    """A message in the shape of chat completions: results of calls with words behind them, or calls."""
    calls = [(each.id, each.name, each.input) for each in message.content if each.type == "tool_use"]
    results = [
        returned(text_of(each.content), each.tool_use_id)
        for each in message.content
        if each.type == "tool_result"
    ]
    words = text_of(message.content)
    if calls:
        return [calling(words, calls)]
    if not results:
        return [spoken(message.role, words)]
    # What an agent adds to a result is no new question of its user.
    results[-1]["content"] = "\n\n".join(filter(None, [results[-1]["content"], words]))
    return results


def _read(body: MessageBody, served: ServedModel) -> Ask:
    system = text_of(body.system)
    said = [spoken("system", system)] if system else []
    for message in body.messages:
        said += _spoken(message)
    if body.thinking == "disabled":
        body = body.model_copy(update={"effort": "none"})
    asked, tools = body.tool_choice, [each.tool() for each in body.tools]
    choice = Named(name=asked.name) if asked.name else _CHOICES[asked.type]
    return served.ask(body, Messages(said, tools, choice, not asked.disable_parallel_tool_use))


class MessageWriter(BlockWriter[MessageBody]):
    """Writes a message, or its events."""

    def whole(self, outcome: Outcome, reasoning: str) -> JsonObject:
        """The message."""
        blocks = [self._block(block) for block in self.finished(outcome, reasoning)]
        message = self._message(blocks, _usage(outcome.usage, outcome.reasoning_tokens))
        return {**message, **_end(outcome.choices[0]), "adascale": outcome.summary}

    def begin(self, prompt: Usage) -> Iterator[bytes]:
        """The message without its content."""
        yield _event("message_start", message=self._message([], _usage(prompt)))

    def opened(self, block: Block) -> Iterator[bytes]:
        """A new block."""
        yield _event("content_block_start", index=block.at, content_block=self._block(block))

    def grown(self, block: Block, text: str) -> bytes:
        """A delta of a block."""
        if block.call is not None:
            delta = {"type": "input_json_delta", "partial_json": text}
            return _event("content_block_delta", index=block.at, delta=delta)
        type_ = _type(block)
        return _event("content_block_delta", index=block.at, delta={"type": f"{type_}_delta", type_: text})

    def closed(self, block: Block, *, is_cut: bool = False) -> Iterator[bytes]:
        """The end of a block."""
        yield _event("content_block_stop", index=block.at)

    def keep_alive(self) -> Iterator[bytes]:
        """A ping."""
        yield _event("ping")

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The reason why it ended, and the usage."""
        yield from self.close(outcome)
        end, usage = _end(outcome.choices[0]), _usage(outcome.usage, outcome.reasoning_tokens)
        yield _event("message_delta", delta=end, usage=usage, adascale=outcome.summary)
        yield _event("message_stop")

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error object."""
        yield event(refusal.body(MESSAGES.path), "error")

    def _block(self, block: Block) -> JsonObject:
        if block.call is not None:
            head = {"type": "tool_use", "id": f"toolu_{self.token}_{block.at}", "name": block.call.name}
            return {**head, "input": dict(block.call.arguments) if block.text else {}}
        type_ = _type(block)
        return {"type": type_, type_: block.text, **({"signature": ""} if type_ == "thinking" else {})}

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


MESSAGES = Protocol("/v1/messages", MessageBody, _read, MessageWriter)


def _event(type_: str, **fields: Any) -> bytes:
    return event({"type": type_, **fields}, type_)


def _type(block: Block) -> str:
    return "thinking" if block.kind == "reasoning" else "text"


def _end(choice: Completion) -> JsonObject:
    """The reason why a message has ended."""
    if choice.calls:
        return {"stop_reason": "tool_use", "stop_sequence": None}
    if choice.finish == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    reason = "end_turn" if choice.stopped_at is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": choice.stopped_at}


def _usage(usage: Usage, reasoning: int = 0) -> JsonObject:
    """Tokens in Anthropic's terms: ``input_tokens`` are prompt tokens that were not cached."""
    return {
        "input_tokens": usage.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.reused_tokens,
        "output_tokens": usage.generated_tokens,
        "output_tokens_details": {"thinking_tokens": reasoning},
    }
