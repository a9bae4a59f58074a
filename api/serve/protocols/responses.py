"""OpenAI's responses: ``POST /v1/responses``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from adascale.engine.types import Turn

from ..http.errors import Refusal
from ..http.fields import (
    TEXT,
    WITHOUT_EFFECT,
    FieldType,
    JsonObject,
    by_type,
    objects,
    one_of,
    only,
    shape,
    wrong,
)
from ..search.follow import Beginning
from ..search.outcome import SearchOutcome, TokenCount
from ..search.request import EFFORTS, TOKENS, AnswerRequest, ServedModel, public_sampling
from .conversation import MAX_MESSAGES, ROLES, content, read_conversation, text_part
from .openai_fields import OPENAI_FIELDS
from .rendering import COMMENT, Dialect, Stamp, event

_ITEM = {"id": WITHOUT_EFFECT, "status": WITHOUT_EFFECT}

_MESSAGE = shape(
    {
        **_ITEM,
        "type": only("message"),
        "role": one_of(*ROLES),
        "phase": WITHOUT_EFFECT,
        "content": content(
            {
                "input_text": text_part("input_text"),
                "output_text": text_part("output_text", "annotations", "logprobs"),
            }
        ),
    },
    "role",
)

_REASONING = shape(
    {
        **_ITEM,
        "type": only("reasoning"),
        "summary": WITHOUT_EFFECT,
        "content": WITHOUT_EFFECT,
        "encrypted_content": WITHOUT_EFFECT,
    },
    "type",
)
"""The reasoning of an earlier answer, which clients send back; models read none of it."""


def _input() -> FieldType:
    """The question as a text, or a conversation; read as its items."""
    items = objects(by_type({"message": _MESSAGE, "reasoning": _REASONING}, "message"), MAX_MESSAGES, least=1)

    def read(value: Any, name: str) -> list[JsonObject]:
        if isinstance(value, str):
            if not value.strip():
                raise wrong(name, "is empty", "empty-question")
            return [{"role": "user", "content": value}]
        given: list[JsonObject] = items.read(value, name)
        return given

    return FieldType({"anyOf": [TEXT.schema, items.schema]}, read)


def _fields(served: ServedModel) -> FieldType:
    return shape(
        {
            **served.fields,
            **OPENAI_FIELDS,
            "input": _input(),
            "instructions": TEXT,
            "reasoning": shape({"effort": one_of(*EFFORTS), "summary": only("auto")}),
            "max_output_tokens": TOKENS,
            "stream_options": shape({"include_obfuscation": WITHOUT_EFFECT}),
            "background": only(False),
            "previous_response_id": only(),
            "conversation": only(),
            "include": WITHOUT_EFFECT,
            "text": shape({"format": only({"type": "text"}), "verbosity": only("medium")}),
        },
        "input",
    )


def _read(body: JsonObject, served: ServedModel, stamp: Stamp) -> ResponseWriter:
    model = body.get("model", served.name)
    history, question = read_conversation(body["input"], "input")
    if instructions := body.get("instructions"):
        history = (Turn("system", instructions), *history)
    asked = body.get("reasoning", {}).get("effort")
    request = AnswerRequest(
        model=model,
        question=question,
        history=history,
        effort=served.effort_for(question, model, asked, "reasoning.effort", body.get("temperature")),
        max_tokens=body.get("max_output_tokens"),
        seed=body.get("seed"),
        stream=body.get("stream", False),
    )
    request = served.sampled(request, body)
    sampling = public_sampling(served.sampling)
    return ResponseWriter(request, stamp, {**_repeated(body), **sampling})


RESPONSES = Dialect("/v1/responses", "OpenAI's responses", _fields, _read)


def _repeated(body: JsonObject) -> JsonObject:
    """Fields of a response that repeat what was asked, or say what is not done."""
    return {
        "background": False,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata", {}),
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": body.get("reasoning", {}).get("effort"), "summary": None},
        "service_tier": "default",
        "store": False,
        "text": {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": [],
        "truncation": "disabled",
    }


class ResponseWriter:
    """Writes a response, or its events; ``Rendering`` says what its methods are for.

    Args:
        request: What was asked.
        stamp: What the response says of itself.
        repeated: Fields of the response that repeat the body.
    """

    def __init__(self, request: AnswerRequest, stamp: Stamp, repeated: JsonObject) -> None:
        self.request = request
        self.stamp = stamp
        self._repeated = repeated
        self._sequence = 0
        self._output: list[JsonObject] = []
        self._open: _Item | None = None

    def whole(self, outcome: SearchOutcome, reasoning: str) -> JsonObject:
        """The response."""
        token, status = self.stamp.token, _status(outcome)
        message = _Item("message", token, outcome.choices[0].content).object(status)
        output = [_Item("reasoning", token, reasoning).object(), message] if reasoning else [message]
        return self._finished(outcome, output)

    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """That it was created, and is worked on."""
        for name in ("response.created", "response.in_progress"):
            yield self._event(name, response=self._response("in_progress", []))

    def reason(self, line: str) -> Iterator[bytes]:
        """A delta of the reasoning item."""
        yield from self._add("reasoning", line)

    def write(self, text: str) -> Iterator[bytes]:
        """A delta of the message."""
        yield from self._add("message", text)

    def stay(self) -> Iterator[bytes]:
        """A comment."""
        yield COMMENT

    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """The end of the message, and the whole response."""
        yield from self._add("message", "")
        yield from self._close(_status(outcome))
        response = self._finished(outcome, self._output)
        yield self._event(f"response.{response['status']}", response=response)

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The response with its error."""
        code = "invalid_prompt" if refusal.status < 500 else "server_error"
        response = self._response("failed", self._output)
        response["error"] = {"code": code, "message": refusal.message}
        yield self._event("response.failed", response=response)

    def _add(self, kind: _ItemKind, text: str) -> Iterator[bytes]:
        """Text for an item of this kind, which is opened if it is another one that is open."""
        if self._open is None or self._open.kind != kind:
            yield from self._close("completed")
            self._open = _Item(kind, self.stamp.token, "")
            item = {**self._open.object("in_progress"), "content": []}
            yield self._event("response.output_item.added", output_index=len(self._output), item=item)
            yield self._part_event("content_part.added", part=self._open.part)
        if text:
            self._open = replace(self._open, text=self._open.text + text)
            yield self._part_event(f"{self._open.part['type']}.delta", delta=text, **self._open.logprobs)

    def _close(self, status: str) -> Iterator[bytes]:
        if self._open is None:
            return
        item, part = self._open.object(status), self._open.part
        yield self._part_event(f"{part['type']}.done", text=part["text"], **self._open.logprobs)
        yield self._part_event("content_part.done", part=part)
        yield self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)

    def _part_event(self, name: str, **fields: Any) -> bytes:
        """An event of the only part of the open item."""
        assert self._open is not None
        place = {"item_id": self._open.id, "output_index": len(self._output), "content_index": 0}
        return self._event(f"response.{name}", **place, **fields)

    def _event(self, name: str, **fields: Any) -> bytes:
        self._sequence += 1
        return event({"type": name, "sequence_number": self._sequence - 1, **fields}, name)

    def _finished(self, outcome: SearchOutcome, output: Sequence[JsonObject]) -> JsonObject:
        status = _status(outcome)
        details = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            **self._response(status, output),
            "incomplete_details": details,
            "usage": _usage(outcome.tokens),
            "adascale": outcome.summary,
        }

    def _response(self, status: str, output: Sequence[JsonObject]) -> JsonObject:
        return {
            "id": f"resp_{self.stamp.token}",
            "object": "response",
            "created_at": self.stamp.created,
            "model": self.request.model,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "output": list(output),
            "usage": None,
            **self._repeated,
        }


_ItemKind = Literal["reasoning", "message"]


@dataclass(frozen=True, slots=True)
class _Item:
    """An item of the output, with one part.

    Attributes:
        kind: Type of the item.
        token: Token of the response, a part of all ids in it.
        text: Text of the part.
    """

    kind: _ItemKind
    token: str
    text: str

    @property
    def id(self) -> str:
        """Unique among all items."""
        return f"{'rs' if self.kind == 'reasoning' else 'msg'}_{self.token}"

    @property
    def part(self) -> JsonObject:
        """The part that holds the text."""
        if self.kind == "reasoning":
            return {"type": "reasoning_text", "text": self.text}
        return {"type": "output_text", "text": self.text, "annotations": [], **self.logprobs}

    @property
    def logprobs(self) -> JsonObject:
        """A field that a message's part and its events have to have."""
        return {} if self.kind == "reasoning" else {"logprobs": []}

    def object(self, status: str = "completed") -> JsonObject:
        """The item."""
        item = {"id": self.id, "type": self.kind, "status": status, "content": [self.part]}
        return {**item, **({"summary": []} if self.kind == "reasoning" else {"role": "assistant"})}


def _status(outcome: SearchOutcome) -> str:
    """The status of the response and of its message."""
    return "incomplete" if outcome.choices[0].finish == "length" else "completed"


def _usage(tokens: TokenCount) -> JsonObject:
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": tokens.generated,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.total,
    }
