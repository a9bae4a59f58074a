"""The interface of a protocol: it reads a body, and writes an answer, whole or as a stream."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from adascale.engine.tools.tool import Call

from ..bodies.body import Body
from ..follow import AnswerText, Beginning, Progress, ReasoningLine, Silence
from ..outcome import SearchOutcome
from ..request import AnswerRequest, CommonFields
from ..served import ServedModel
from ..wire.http import COMMENT, JsonObject, Refusal

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Protocol(Generic[B]):
    """A protocol.

    Attributes:
        path: Path of its route.
        body: Model of a request's body.
        read: Reads a body.
        writer: Makes the writer of an answer.
        media_type: Media type of a stream.
        at_once: The response to a body that needs no search; None if it needs one.
    """

    path: str
    body: type[B]
    read: Callable[[B], CommonFields]
    writer: Callable[[B, AnswerRequest], Writer[B]]
    media_type: str = "text/event-stream"
    at_once: Callable[[B, ServedModel], JsonObject | None] = lambda body, served: None


class Writer(ABC, Generic[B]):
    """Writes one answer: whole, or as a stream, whose next server-sent events each method yields.

    Args:
        body: Body of the request.
        request: The question.

    Attributes:
        token: The part that all ids in the answer share.
        created: Unix time in seconds.
    """

    def __init__(self, body: B, request: AnswerRequest) -> None:
        self.body = body
        self.request = request
        self.token = request.ask.problem.id
        self.created = int(time.time())

    @abstractmethod
    def whole(self, outcome: SearchOutcome, reasoning: str) -> JsonObject:
        """The body of a response that is not streamed."""

    @abstractmethod
    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """The beginning of a stream."""

    @abstractmethod
    def reason(self, line: str) -> Iterator[bytes]:
        """A line of reasoning."""

    @abstractmethod
    def write(self, text: str) -> Iterator[bytes]:
        """A piece of the first answer."""

    def keep_alive(self) -> Iterator[bytes]:
        """Something without content, since proxies close silent connections."""
        yield COMMENT

    @abstractmethod
    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """The end of the stream."""

    @abstractmethod
    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """An error after the beginning, too late for a status."""


@dataclass(slots=True)
class Block:
    """A part of an answer.

    Attributes:
        at: Index in the answer.
        kind: Reasoning, the text of the answer, or a call of a tool.
        text: Text so far; for a call, its arguments as JSON.
        call: The call, if it is one.
    """

    at: int
    kind: Literal["reasoning", "answer", "call"]
    text: str = ""
    call: Call | None = None


class BlockWriter(Writer[B]):
    """Writer of a protocol whose answer is a list of blocks; only the last one is still open."""

    def __init__(self, body: B, request: AnswerRequest) -> None:
        super().__init__(body, request)
        self.blocks: list[Block] = []

    @abstractmethod
    def opened(self, block: Block) -> Iterator[bytes]:
        """Open a block."""

    @abstractmethod
    def grown(self, block: Block, text: str) -> bytes:
        """Add text to a block."""

    @abstractmethod
    def closed(self, block: Block, *, is_cut: bool = False) -> Iterator[bytes]:
        """Close a block, which is complete or was cut by a token limit."""

    def reason(self, line: str) -> Iterator[bytes]:
        """Add a line to the reasoning."""
        return self._add("reasoning", line)

    def write(self, text: str) -> Iterator[bytes]:
        """Add text to the answer."""
        return self._add("answer", text)

    def close(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """Close the answer, which may be empty, and write a block for each call."""
        choice = outcome.choices[0]
        if choice.content or not choice.calls:
            yield from self._add("answer", "")
            yield from self.closed(self.blocks[-1], is_cut=choice.finish == "length")
        for call in choice.calls:
            block = Block(len(self.blocks), "call", call=call)
            self.blocks.append(block)
            yield from self.opened(block)
            block.text = to_json(call)
            yield self.grown(block, block.text)
            yield from self.closed(block)

    def _add(self, kind: Literal["reasoning", "answer"], text: str) -> Iterator[bytes]:
        if not self.blocks or self.blocks[-1].kind != kind:
            if self.blocks:
                yield from self.closed(self.blocks[-1])
            self.blocks.append(Block(len(self.blocks), kind))
            yield from self.opened(self.blocks[-1])
        if text:
            self.blocks[-1].text += text
            yield self.grown(self.blocks[-1], text)


def whole_blocks(outcome: SearchOutcome, reasoning: str) -> list[Block]:
    """The blocks of an answer that is not streamed."""
    choice = outcome.choices[0]
    blocks = [Block(0, "reasoning", reasoning)] if reasoning else []
    if choice.content or not choice.calls:
        blocks.append(Block(len(blocks), "answer", choice.content))
    return [*blocks, *(Block(len(blocks) + n, "call", to_json(c), c) for n, c in enumerate(choice.calls))]


def to_json(call: Call) -> str:
    """The arguments of a call as JSON."""
    return json.dumps(call.arguments, ensure_ascii=False)


async def collect(progress: AsyncGenerator[Progress, None], writer: Writer[B]) -> JsonObject:
    """The body of a response, once the search has ended; ``progress`` is closed then.

    Raises:
        Refusal: the search failed.
    """
    lines: list[str] = []
    async with aclosing(progress):
        async for part in progress:
            if isinstance(part, ReasoningLine):
                lines.append(part.line)
            elif isinstance(part, SearchOutcome):
                return writer.whole(part, "".join(lines))
    raise AssertionError("the last progress is the outcome")


async def stream(progress: AsyncGenerator[Progress, None], writer: Writer[B]) -> AsyncGenerator[bytes, None]:
    """Server-sent events during the search; ``progress`` is closed at their end.

    Raises:
        Refusal: the search failed before it began.
    """
    begun = False
    async with aclosing(progress):
        try:
            async for part in progress:
                yield b"".join(_events(part, writer))
                begun = True
        except Refusal as refusal:
            if not begun:
                raise
            yield b"".join(writer.fail(refusal))


def _events(part: Progress, writer: Writer[B]) -> Iterator[bytes]:
    match part:
        case Beginning():
            return writer.begin(part)
        case ReasoningLine():
            return writer.reason(part.line)
        case AnswerText():
            return writer.write(part.text)
        case Silence():
            return writer.keep_alive()
        case SearchOutcome():
            return writer.end(part)
