"""OpenAI's completions: ``POST /v1/completions``, which continues a text as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from adascale.engine.types import TokenLogprob

from ..bodies.fields import Texts
from ..conversation import RawText
from ..follow import Beginning
from ..outcome import Answer
from ..request import CommonFields
from ..wire.http import JsonObject
from .openai import MAX_LIKELIEST, ChoicesBody, ChoicesWriter, text_of_token
from .protocol import Protocol


def _only_text(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


class CompletionBody(ChoicesBody):
    """Body of a completion."""

    prompt: Annotated[str, Field(min_length=1), BeforeValidator(_only_text)]
    """The text to continue, without a chat template; special tokens in it are parsed."""
    suffix: str = ""
    """Text after the completion, for models trained for fill-in-the-middle."""
    stop: Annotated[Texts, Field(max_length=16)] = []
    """Texts before which a completion is cut."""
    logprobs: Annotated[int, Field(ge=0, le=MAX_LIKELIEST)] | None = None
    """Number of likeliest alternatives to each token."""


def _read(body: CompletionBody) -> CommonFields:
    return CommonFields(
        RawText(body.prompt, body.suffix),
        max_tokens=body.max_tokens,
        answers=body.n,
        stop=body.stop,
        logprobs=body.logprobs,
    )


class CompletionWriter(ChoicesWriter[CompletionBody]):
    """Writes a ``text_completion``, or its parts."""

    prefix = "cmpl"
    kinds = ("text_completion", "text_completion")

    def choice(self, at: int, choice: Answer, reasoning: str) -> JsonObject:
        """A completion."""
        return _choice(at, choice.content, choice.finish, _logprobs(choice.logprobs))

    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """Nothing: the first chunk has text."""
        return iter(())

    def reason(self, line: str) -> Iterator[bytes]:
        """Nothing: nothing is searched."""
        return iter(())

    def part(self, at: int, text: str) -> JsonObject:
        """A piece of a text."""
        return _choice(at, text)

    def ended(self, at: int, choice: Answer) -> JsonObject:
        """The reason, and the log-probabilities."""
        return _choice(at, "", choice.finish, _logprobs(choice.logprobs))


COMPLETIONS = Protocol("/v1/completions", CompletionBody, _read, CompletionWriter)


def _choice(at: int, text: str, finish: str | None = None, logprobs: JsonObject | None = None) -> JsonObject:
    return {"index": at, "text": text, "logprobs": logprobs, "finish_reason": finish}


def _logprobs(logprobs: Sequence[TokenLogprob] | None) -> JsonObject | None:
    """Log-probabilities of the tokens of a completion; None if they were not asked for."""
    if logprobs is None:
        return None
    texts = list(map(text_of_token, logprobs))
    return {
        "tokens": texts,
        "token_logprobs": [each.logprob for each in logprobs],
        "top_logprobs": [
            {text_of_token(other): other.logprob for other in each.likeliest} for each in logprobs
        ],
        "text_offset": [sum(map(len, texts[:at])) for at in range(len(texts))],
    }
