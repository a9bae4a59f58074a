"""Parts of OpenAI's protocols: fields of a body, calls, usage, and answers that are a list of choices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from adascale.engine.types import TokenLogprob

from ..bodies.body import Body
from ..bodies.fields import Fields, OpenTokens
from ..outcome import Answer, SearchOutcome
from ..wire.http import JsonObject, Refusal, event
from .protocol import Writer

MAX_LIKELIEST = 20
"""Largest number of alternatives to each token."""


class OpenAIBody(Body):
    """Fields of all protocols of OpenAI."""

    parallel_tool_calls: bool = True
    """Allow several calls in one turn."""


class StreamOptions(Fields):
    """Options of a stream."""

    include_usage: bool = False


class ChoicesBody(OpenAIBody):
    """Fields of a body whose answer is a list of choices."""

    max_tokens: OpenTokens = None
    n: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of plain replies; in a search, at most this many different answers, likeliest first."""
    stream_options: StreamOptions | None = None


B = TypeVar("B", bound=ChoicesBody)


class ChoicesWriter(Writer[B]):
    """Writes an object with choices, or its chunks, of which the last one is ``[DONE]``.

    Attributes:
        prefix: Beginning of the object's id.
        kinds: Names of the object, and of a chunk.
    """

    prefix: ClassVar[str]
    kinds: ClassVar[tuple[str, str]]

    @abstractmethod
    def choice(self, at: int, choice: Answer, reasoning: str) -> JsonObject:
        """A whole answer."""

    @abstractmethod
    def part(self, at: int, text: str) -> JsonObject:
        """A piece of an answer."""

    @abstractmethod
    def ended(self, at: int, choice: Answer) -> JsonObject:
        """The end of an answer."""

    def whole(self, outcome: SearchOutcome, reasoning: str) -> JsonObject:
        """The object; its first answer has the reasoning."""
        choices = [self.choice(at, each, "" if at else reasoning) for at, each in enumerate(outcome.choices)]
        found = self._object(self.kinds[0], choices)
        return {**found, "usage": usage_of(outcome), "adascale": outcome.summary}

    def write(self, text: str) -> Iterator[bytes]:
        """A chunk with text."""
        yield self.chunk(self.part(0, text))

    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """The other answers, the reason why each has ended, and the usage."""
        for at, choice in enumerate(outcome.choices):
            if at:
                yield self.chunk(self.part(at, choice.content))
        for at, choice in enumerate(outcome.choices):
            yield self.chunk(self.ended(at, choice), **({} if at else {"adascale": outcome.summary}))
        if self._includes_usage:
            yield self.chunk(usage=usage_of(outcome))
        yield b"data: [DONE]\n\n"

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error object."""
        yield event(refusal.body())

    def chunk(self, *choices: JsonObject, **more: Any) -> bytes:
        """A chunk with choices, and with further fields."""
        usage = {"usage": None} if self._includes_usage else {}
        return event({**self._object(self.kinds[1], choices), **usage, **more})

    @property
    def _includes_usage(self) -> bool:
        return self.body.stream_options is not None and self.body.stream_options.include_usage

    def _object(self, kind: str, choices: Sequence[JsonObject]) -> JsonObject:
        return {
            "id": f"{self.prefix}-{self.token}",
            "object": kind,
            "created": self.created,
            "model": self.request.model,
            "system_fingerprint": self.request.fingerprint,
            "choices": list(choices),
        }


def text_of_token(token: TokenLogprob) -> str:
    """The text of a token; half a character becomes a replacement character."""
    return bytes(token.piece).decode("utf-8", "replace")


def usage_of(outcome: SearchOutcome) -> JsonObject:
    """Tokens in OpenAI's terms: generated ones that are in no shown answer are reasoning."""
    usage = outcome.usage
    prompt = usage.prompt_tokens + usage.reused_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.generated_tokens,
        "total_tokens": prompt + usage.generated_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.reused_tokens},
        "completion_tokens_details": {"reasoning_tokens": outcome.reasoning_tokens},
    }


def call_id(token: str, place: int) -> str:
    """Id of a call, by the token of the answer and its place."""
    return f"call_{token}_{place}"
