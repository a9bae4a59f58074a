"""OpenAI's completions: ``POST /v1/completions``, which goes on with a text as it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ..bodies.body import OpenAIBody
from ..bodies.fields import Ignored, OpenTokens, Texts
from ..follow import Beginning
from ..outcome import SearchOutcome
from ..request import AnswerRequest, ServedModel
from ..token_odds import MAX_LIKELIEST, of_completion
from ..wire.http import JsonObject, Refusal, event
from .chat import MAX_ANSWERS, StreamOptions, usage_of
from .protocol import Protocol, Writer


def _only_text(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


class CompletionBody(OpenAIBody):
    """Body of a completion."""

    prompt: Annotated[str, Field(min_length=1), BeforeValidator(_only_text, json_schema_input_type=str)]
    """The text; it is read without a chat template, and control tokens in it count."""
    suffix: str = ""
    """Text behind the completion, for models that were trained to fill gaps."""
    max_tokens: OpenTokens = None
    n: Annotated[int, Field(ge=1, le=MAX_ANSWERS)] = 1
    stop: Annotated[Texts, Field(max_length=16)] = []
    """Texts before which a completion is cut."""
    echo: bool = False
    """Put the prompt in front."""
    logprobs: Annotated[int, Field(ge=0, le=MAX_LIKELIEST)] | None = None
    """Number of likeliest tokens to name in the place of each."""
    stream_options: StreamOptions | None = None
    best_of: Ignored = None


def _read(body: CompletionBody, served: ServedModel) -> AnswerRequest:
    if body.echo and body.logprobs is not None:
        raise Refusal.of_field("logprobs", "is for what is written, not for an echo", "unsupported-value")
    return served.read(
        body,
        ((), body.prompt),
        None,
        "model",
        max_tokens=body.max_tokens,
        answers=body.n,
        stop=body.stop,
        logprobs=body.logprobs,
        suffix=body.suffix,
    )


class CompletionWriter(Writer[CompletionBody]):
    """Writes a ``text_completion``, or its parts."""

    def whole(self, outcome: SearchOutcome, reasoning: str) -> JsonObject:
        """The completion."""
        prompt = self.body.prompt if self.body.echo else ""
        choices = [
            _choice(n, prompt + choice.content, choice.finish, of_completion(choice.odds))
            for n, choice in enumerate(outcome.choices)
        ]
        return {**self._object(choices), "usage": usage_of(outcome.tokens), "adascale": outcome.summary}

    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """The prompt, if it is to be repeated."""
        if self.body.echo:
            for n in range(self.body.n):
                yield self._part(n, self.body.prompt)

    def reason(self, line: str) -> Iterator[bytes]:
        """Nothing: nothing is searched."""
        return iter(())

    def write(self, text: str) -> Iterator[bytes]:
        """A piece of text."""
        yield self._part(0, text)

    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """The other completions, the reason why each has ended, and the usage."""
        choices = outcome.choices
        for n, choice in enumerate(choices[1:], 1):
            yield self._part(n, choice.content)
        for n, choice in enumerate(choices):
            part = self._object([_choice(n, "", choice.finish, of_completion(choice.odds))])
            yield event({**part, "adascale": outcome.summary} if n == 0 else part)
        if self.body.stream_options is not None and self.body.stream_options.include_usage:
            yield event({**self._object([]), "usage": usage_of(outcome.tokens)})
        yield b"data: [DONE]\n\n"

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error object."""
        yield event(refusal.body())

    def _part(self, index: int, text: str) -> bytes:
        return event(self._object([_choice(index, text)]))

    def _object(self, choices: Sequence[JsonObject]) -> JsonObject:
        return {
            "id": f"cmpl-{self.token}",
            "object": "text_completion",
            "created": self.created,
            "model": self.request.model,
            "system_fingerprint": self.request.fingerprint,
            "choices": choices,
        }


COMPLETIONS = Protocol("/v1/completions", "OpenAI's completions", CompletionBody, _read, CompletionWriter)


def _choice(
    index: int, text: str, finish: str | None = None, logprobs: JsonObject | None = None
) -> JsonObject:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
