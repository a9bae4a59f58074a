"""What a protocol is: fields that a request may have, and shapes of what comes back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from ..http.errors import Refusal
from ..http.fields import JsonObject
from ..http.json_body import to_bytes
from ..search.follow import AnswerText, Beginning, Progress, ReasoningLine, Silence
from ..search.outcome import SearchOutcome
from ..search.request import AnswerRequest, Fields, ServedModel

COMMENT = b": searching\n\n"
"""A server-sent event that says nothing."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an answer says of itself.

    Attributes:
        token: Random, a part of all its ids.
        created: Unix time.
        fingerprint: Digest of the models and their settings.
    """

    token: str
    created: int
    fingerprint: str


class Rendering(Protocol):
    """Writes one answer; of a stream each method gives the next server-sent events."""

    @property
    def request(self) -> AnswerRequest:
        """What was asked."""

    @property
    def stamp(self) -> Stamp:
        """What the answer says of itself."""

    def whole(self, outcome: SearchOutcome, reasoning: str) -> JsonObject:
        """The body of a response that is not streamed."""

    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """The beginning of a stream."""

    def reason(self, line: str) -> Iterator[bytes]:
        """A line of reasoning."""

    def write(self, text: str) -> Iterator[bytes]:
        """A piece of the first answer."""

    def stay(self) -> Iterator[bytes]:
        """A sign of life."""

    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """All that is left to say."""

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """An error behind the beginning, too late for a status."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A protocol.

    Attributes:
        path: Where it is spoken.
        summary: What it is, in a few words.
        fields: Fields of a request's body.
        read: The answer that is to be written to a body that ``fields`` has read.
    """

    path: str
    summary: str
    fields: Fields
    read: Callable[[JsonObject, ServedModel, Stamp], Rendering]


def event(data: Any, name: str = "") -> bytes:
    """A server-sent event of JSON."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + to_bytes(data) + b"\n\n"


async def collect(progress: AsyncGenerator[Progress, None], rendering: Rendering) -> JsonObject:
    """The body of a response, when the search has ended; ``progress`` is closed with it.

    Raises:
        Refusal: the search failed.
    """
    lines: list[str] = []
    async with aclosing(progress):
        async for part in progress:
            if isinstance(part, ReasoningLine):
                lines.append(part.line)
            elif isinstance(part, SearchOutcome):
                return rendering.whole(part, "".join(lines))
    raise AssertionError("the last progress is the outcome")


async def stream(
    progress: AsyncGenerator[Progress, None], rendering: Rendering
) -> AsyncGenerator[bytes, None]:
    """Server-sent events, as the search goes; ``progress`` is closed with them.

    Raises:
        Refusal: the search failed before it began.
    """
    begun = False
    async with aclosing(progress):
        try:
            async for part in progress:
                yield b"".join(_render(part, rendering))
                begun = True
        except Refusal as refusal:
            if not begun:
                raise
            yield b"".join(rendering.fail(refusal))


def _render(part: Progress, rendering: Rendering) -> Iterator[bytes]:
    match part:
        case Beginning():
            return rendering.begin(part)
        case ReasoningLine():
            return rendering.reason(part.line)
        case AnswerText():
            return rendering.write(part.text)
        case Silence():
            return rendering.stay()
        case SearchOutcome():
            return rendering.end(part)
