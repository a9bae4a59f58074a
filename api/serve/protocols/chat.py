"""OpenAI's chat completions: ``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..http.errors import Refusal
from ..http.fields import (
    FLAG,
    WITHOUT_EFFECT,
    FieldType,
    JsonObject,
    objects,
    one_of,
    only,
    shape,
    texts,
    whole,
    wrong,
)
from ..search.follow import Beginning
from ..search.outcome import SearchOutcome, TokenCount
from ..search.request import EFFORTS, TOKENS, AnswerRequest, ServedModel
from .conversation import MAX_MESSAGES, ROLES, content, read_conversation, text_part
from .openai_fields import OPENAI_FIELDS
from .rendering import COMMENT, Dialect, Stamp, event

MAX_ANSWERS = 16
_MAX_STOPS = 4

_MESSAGE = shape(
    {
        "role": one_of(*ROLES),
        "content": content({"text": text_part("text")}),
        "name": WITHOUT_EFFECT,
        "reasoning_content": WITHOUT_EFFECT,
        "reasoning": WITHOUT_EFFECT,
        # Clients send an answer back with all that it had.
        "annotations": only([]),
        "refusal": only(""),
        "tool_calls": only([]),
    },
    "role",
)

_STREAM_OPTIONS = shape({"include_usage": FLAG, "include_obfuscation": WITHOUT_EFFECT})


def _fields(served: ServedModel) -> FieldType:
    return shape(
        {
            **served.fields,
            **OPENAI_FIELDS,
            "messages": objects(_MESSAGE, MAX_MESSAGES, least=1),
            "reasoning_effort": one_of(*EFFORTS),
            "max_completion_tokens": TOKENS,
            "max_tokens": TOKENS,
            "n": whole(1, MAX_ANSWERS),
            "stop": texts(_MAX_STOPS),
            "stream_options": _STREAM_OPTIONS,
            "modalities": only(["text"]),
            "response_format": only({"type": "text"}),
        },
        "messages",
    )


def _read(body: JsonObject, served: ServedModel, stamp: Stamp) -> ChatCompletion:
    model, streamed = body.get("model", served.name), body.get("stream", False)
    if "stream_options" in body and not streamed:
        raise wrong("stream_options", "is for requests with stream: true")
    history, question = read_conversation(body["messages"], "messages")
    request = AnswerRequest(
        model=model,
        question=question,
        history=history,
        effort=served.effort_for(
            question, model, body.get("reasoning_effort"), "reasoning_effort", body.get("temperature")
        ),
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        seed=body.get("seed"),
        answers=body.get("n", 1),
        stop=body.get("stop", ()),
        stream=streamed,
    )
    request = served.sampled(request, body)
    return ChatCompletion(request, stamp, body.get("stream_options", {}).get("include_usage", False))


CHAT = Dialect("/v1/chat/completions", "OpenAI's chat completions", _fields, _read)


@dataclass(frozen=True, slots=True)
class ChatCompletion:
    """Writes a ``chat.completion``, or its chunks; ``Rendering`` says what its methods are for.

    Attributes:
        request: What was asked.
        stamp: What the completion says of itself.
        include_usage: Whether the last chunk has the usage.
    """

    request: AnswerRequest
    stamp: Stamp
    include_usage: bool

    def whole(self, outcome: SearchOutcome, reasoning: str) -> JsonObject:
        """The completion; its first answer has the reasoning."""
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
                "finish_reason": choice.finish,
            }
            for n, choice in enumerate(outcome.choices)
        ]
        body = self._object("chat.completion", choices)
        return {**body, "usage": _usage(outcome.tokens), "adascale": outcome.summary}

    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """The role."""
        yield event(self._chunk({"role": "assistant", "content": ""}))

    def reason(self, line: str) -> Iterator[bytes]:
        """A chunk with a line of reasoning."""
        yield event(self._chunk(_reasoning(line)))

    def write(self, text: str) -> Iterator[bytes]:
        """A chunk with content."""
        yield event(self._chunk({"content": text}))

    def stay(self) -> Iterator[bytes]:
        """A comment."""
        yield COMMENT

    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """The other answers, why each has ended, and the usage."""
        choices = outcome.choices
        for n, choice in enumerate(choices[1:], 1):
            yield event(self._chunk({"role": "assistant", "content": choice.content}, n))
        for n, choice in enumerate(choices):
            chunk = self._chunk({}, n, choice.finish)
            yield event({**chunk, "adascale": outcome.summary} if n == 0 else chunk)
        if self.include_usage:
            yield event({**self._object("chat.completion.chunk", []), "usage": _usage(outcome.tokens)})
        yield b"data: [DONE]\n\n"

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error's body."""
        yield event(refusal.body())

    def _chunk(
        self, delta: Mapping[str, Any], index: int = 0, finish_reason: str | None = None
    ) -> JsonObject:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = self._object("chat.completion.chunk", [choice])
        return {**chunk, "usage": None} if self.include_usage else chunk

    def _object(self, kind: str, choices: Sequence[JsonObject]) -> JsonObject:
        return {
            "id": f"chatcmpl-{self.stamp.token}",
            "object": kind,
            "created": self.stamp.created,
            "model": self.request.model,
            "system_fingerprint": self.stamp.fingerprint,
            "choices": choices,
        }


def _reasoning(text: str) -> dict[str, str]:
    """Reasoning under both names that clients look for."""
    return {"reasoning_content": text, "reasoning": text}


def _usage(tokens: TokenCount) -> JsonObject:
    """Tokens as OpenAI counts them: what was drawn and is not shown is reasoning."""
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.generated,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }
