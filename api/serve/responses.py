"""OpenAI's responses: ``POST /v1/responses``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from adascale.engine.types import Usage

from .body import Body, Forced, Messages
from .chat import call_id
from .http import JsonObject, Refusal, event
from .outcome import Outcome
from .request import Ask
from .stream import Block, Protocol, Writer


class ResponseBody(Body):
    """Body of a response."""

    messages: Messages = Field(validation_alias="input")
    """The question as a text, or a conversation."""
    previous_response_id: None = None
    conversation_id: None = Field(None, validation_alias="conversation")


_EVENTS = {"reasoning": "reasoning_text", "answer": "output_text", "call": "function_call_arguments"}
"""Name of the events of an item, and type of its only part, by the block that it shows."""


class ResponseWriter(Writer[ResponseBody]):
    """Writes a response, or its events; each block is an item of the output."""

    def __init__(self, body: ResponseBody, ask: Ask) -> None:
        super().__init__(body, ask)
        self._sequence = 0

    def whole(self, outcome: Outcome) -> JsonObject:
        """The response."""
        is_cut = outcome.reply.finish == "length"
        status = "incomplete" if is_cut else "completed"
        blocks = [(block, status if block.kind == "answer" else "completed") for block in self.blocks]
        return {
            **self._response(status, [self._item(*each) for each in blocks]),
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "usage": usage_of(outcome.usage, outcome.reasoning_tokens),
            "adascale": outcome.summary,
        }

    def begin(self, prompt: Usage) -> Iterator[bytes]:
        """The response without its output."""
        for name in ("response.created", "response.in_progress"):
            yield self._event(name, response=self._response("in_progress", []))

    def opened(self, block: Block) -> Iterator[bytes]:
        """A new item, and its part; a call has none."""
        item = self._item(block, "in_progress")
        added = item if block.call is not None else {**item, "content": []}
        yield self._event("response.output_item.added", output_index=block.at, item=added)
        if block.call is None:
            yield self._inside(block, "content_part.added", part=_part(block))

    def grown(self, block: Block, text: str) -> bytes:
        """A delta of its part, or of the arguments of a call."""
        return self._inside(block, f"{_EVENTS[block.kind]}.delta", delta=text, **_logprobs(block))

    def closed(self, block: Block, *, is_cut: bool = False) -> Iterator[bytes]:
        """The whole text, the whole part and the whole item."""
        done = f"{_EVENTS[block.kind]}.done"
        if block.call is not None:
            yield self._inside(block, done, name=block.call.name, arguments=block.text)
        else:
            yield self._inside(block, done, text=block.text, **_logprobs(block))
            yield self._inside(block, "content_part.done", part=_part(block))
        item = self._item(block, "incomplete" if is_cut else "completed")
        yield self._event("response.output_item.done", output_index=block.at, item=item)

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The whole response."""
        response = self.whole(outcome)
        yield self._event(f"response.{response['status']}", response=response)

    def fail(self, refusal: Refusal) -> bytes:
        """The response with its error."""
        code = "invalid_prompt" if refusal.status < 500 else "server_error"
        response = self._response("failed", [self._item(block, "incomplete") for block in self.blocks])
        response["error"] = {"code": code, "message": refusal.message}
        return self._event("response.failed", response=response)

    def _inside(self, block: Block, name: str, /, **fields: Any) -> bytes:
        """An event inside an item: of its only part, or of the arguments of a call."""
        place = {"item_id": self._id(block), "output_index": block.at}
        part = {} if block.call is not None else {"content_index": 0}
        return self._event(f"response.{name}", **place, **part, **fields)

    def _event(self, name: str, /, **fields: Any) -> bytes:
        self._sequence += 1
        return event({"type": name, "sequence_number": self._sequence - 1, **fields}, name)

    def _id(self, block: Block) -> str:
        if block.call is not None:
            return f"fc_{self.token}_{block.at}"
        return f"{'rs' if block.kind == 'reasoning' else 'msg'}_{self.token}"

    def _item(self, block: Block, status: str) -> JsonObject:
        if block.call is not None:
            named = {"call_id": call_id(self.token, block), "name": block.call.name}
            head = {"id": self._id(block), "type": "function_call", "status": status}
            return {**head, **named, "arguments": block.text}
        is_reasoning = block.kind == "reasoning"
        item = {"id": self._id(block), "type": "reasoning" if is_reasoning else "message", "status": status}
        return {
            **item,
            "content": [_part(block)],
            **({"summary": []} if is_reasoning else {"role": "assistant"}),
        }

    def _response(self, status: str, output: Sequence[JsonObject]) -> JsonObject:
        """A response; it repeats which tools may be called."""
        body, choice = self.body, self.body.tool_choice
        return {
            "id": f"resp_{self.token}",
            "object": "response",
            "created_at": self.created,
            "model": self.ask.model,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "output": list(output),
            "usage": None,
            "parallel_tool_calls": body.parallel_tool_calls,
            "tool_choice": choice.model_dump() if isinstance(choice, Forced) else choice or "auto",
            "tools": [
                {"type": "function", **each.record()["function"], "strict": True} for each in body.tools
            ],
        }


RESPONSES = Protocol("/v1/responses", ResponseBody, ResponseWriter)


def _part(block: Block) -> JsonObject:
    """The part that holds the text."""
    part = {"type": _EVENTS[block.kind], "text": block.text}
    return part if block.kind == "reasoning" else {**part, "annotations": [], "logprobs": []}


def _logprobs(block: Block) -> JsonObject:
    """A field that events of a message's part have to have."""
    return {"logprobs": []} if block.kind == "answer" else {}


def usage_of(usage: Usage, reasoning: int = 0) -> JsonObject:
    """Tokens in the form of responses.

    Args:
        usage: The tokens.
        reasoning: Generated ones that are in no answer.
    """
    prompt = usage.prompt_tokens + usage.reused_tokens
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": usage.reused_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.generated_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + usage.generated_tokens,
    }
