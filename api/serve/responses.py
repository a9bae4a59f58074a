"""OpenAI's responses: ``POST /v1/responses``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import Field

from adascale.engine.types import Usage

from .body import Body, Forced, Messages
from .chat import call_id
from .http import JsonObject, Refusal, event
from .outcome import Outcome
from .stream import Block, Writer


class ResponseBody(Body):
    """Body of a response."""

    messages: Messages = Field(validation_alias="input")
    """The question as a text, or a conversation."""
    previous_response_id: None = None
    conversation_id: None = Field(None, validation_alias="conversation")


class _Form(NamedTuple):
    """An item of the output: its head, the name of its events and the type of its part, and more of the part.

    ``more`` stands in each event of a text, too.
    """

    prefix: str
    head: JsonObject
    events: str
    more: JsonObject


_FORMS: Mapping[str, _Form] = {
    "reasoning": _Form("rs", {"type": "reasoning", "summary": []}, "reasoning_text", {}),
    "answer": _Form("msg", {"type": "message", "role": "assistant"}, "output_text", {"logprobs": []}),
    "call": _Form("fc", {"type": "function_call"}, "function_call_arguments", {}),
}
"""By the kind of block that an item shows."""


class ResponseWriter(Writer[ResponseBody]):
    """Writes a response, or its events; each block is an item of the output."""

    path = "/v1/responses"
    _sequence = -1

    def whole(self, outcome: Outcome) -> JsonObject:
        """The response."""
        is_cut = outcome.finish == "length"
        status = "incomplete" if is_cut else "completed"
        return {
            **self._response(status, [self._item(block, status) for block in self.blocks]),
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "usage": usage_of(outcome.usage, outcome.reasoning_tokens),
            "adascale": outcome.summary,
        }

    def begin(self) -> Iterator[bytes]:
        """The response without its output."""
        for name in ("response.created", "response.in_progress"):
            yield self._event(name, response=self._response("in_progress", []))

    def opened(self, block: Block) -> Iterator[bytes]:
        """A new item, and its part; a call has none."""
        item = self._item(block, "in_progress")
        added = item if block.call is not None else {**item, "content": []}
        yield self._event("response.output_item.added", output_index=block.at, item=added)
        if block.call is None:
            yield self._inside(block, "content_part.added", part=item["content"][0])

    def grown(self, block: Block, text: str) -> bytes:
        """A delta of its part, or of the arguments of a call."""
        form = _FORMS[block.kind]
        return self._inside(block, f"{form.events}.delta", delta=text, **form.more)

    def closed(self, block: Block, *, is_cut: bool = False) -> Iterator[bytes]:
        """The whole text, the whole part and the whole item."""
        form, item = _FORMS[block.kind], self._item(block, "incomplete" if is_cut else "completed")
        if block.call is not None:
            yield self._inside(block, f"{form.events}.done", name=block.call.name, arguments=block.text)
        else:
            yield self._inside(block, f"{form.events}.done", text=block.text, **form.more)
            yield self._inside(block, "content_part.done", part=item["content"][0])
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
        part = {} if block.call is not None else {"content_index": 0}
        place = {"item_id": self._id(block), "output_index": block.at}
        return self._event(f"response.{name}", **place, **part, **fields)

    def _event(self, name: str, /, **fields: Any) -> bytes:
        self._sequence += 1
        return event({"type": name, "sequence_number": self._sequence, **fields}, name)

    def _id(self, block: Block) -> str:
        return f"{_FORMS[block.kind].prefix}_{self.token}_{block.at}"

    def _item(self, block: Block, status: str) -> JsonObject:
        form = _FORMS[block.kind]
        head = {"id": self._id(block), "status": status, **form.head}
        if block.call is not None:
            name, id_ = block.call.name, call_id(self.token, block)
            return {**head, "call_id": id_, "name": name, "arguments": block.text}
        notes = {"annotations": [], **form.more} if form.more else {}
        return {**head, "content": [{"type": form.events, "text": block.text, **notes}]}

    def _response(self, status: str, output: Sequence[JsonObject]) -> JsonObject:
        """A response; it repeats which tools may be called."""
        body, choice = self.body, self.body.tool_choice or "auto"
        return {
            "id": f"resp_{self.token}",
            "object": "response",
            "created_at": self.created,
            "model": self.ask.model,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "output": output,
            "usage": None,
            "parallel_tool_calls": body.parallel_tool_calls,
            "tool_choice": choice.model_dump() if isinstance(choice, Forced) else choice,
            "tools": [
                {"type": "function", **each.record()["function"], "strict": True} for each in body.tools
            ],
        }


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
