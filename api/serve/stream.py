"""Progress of a search, for every protocol: its beginning, lines of reasoning, text, and its outcome."""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

from adascale.engine.answer import GrowingReply
from adascale.engine.answers.choosing import Standing
from adascale.engine.answers.latex import readable
from adascale.engine.search.events import (
    AnswersJudged,
    Event,
    PromptRead,
    SearchFailed,
    SearchStarted,
    StepProposed,
    StepScored,
    Warned,
)
from adascale.engine.search.record import Record
from adascale.engine.search.tree import Node
from adascale.engine.tools.calls import Call
from adascale.engine.types import Estimate, Usage
from adascale.models.fallback import Fallback
from adascale.models.llama.thinking import without_tags

from .body import Body
from .http import COMMENT, JsonObject, Refusal
from .outcome import SearchOutcome
from .request import AnswerRequest, CommonFields, ServedModel

SILENT_SECONDS = 10.0
"""Time without output after which something empty is sent, since proxies close silent connections."""

_WIDTH = 300
"""Largest number of characters of a step in its line."""

_QUIET = ("call", "json")
"""Kinds without lines of reasoning, since agents would send them back."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The prompt has been read, or takes long; ``prompt`` has its tokens, as far as known."""

    prompt: Usage


@dataclass(frozen=True, slots=True)
class ReasoningLine:
    """A line of reasoning, with its newline; of a plain reply a part of its thought."""

    line: str


@dataclass(frozen=True, slots=True)
class AnswerText:
    """The next piece of the first answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing was sent for ``SILENT_SECONDS``."""


Progress = Beginning | ReasoningLine | AnswerText | Silence | SearchOutcome


async def follow(
    events: AsyncGenerator[Event | None, None],
    request: AnswerRequest,
    end_search: Callable[[], object] = lambda: None,
    fallback: Fallback | None = None,
) -> AsyncGenerator[Progress, None]:
    """Progress of a search: a Beginning first, the SearchOutcome last.

    All AnswerText together is the content of the first answer. A stop text ends a plain reply.

    Args:
        events: Events of the search, as ``Hub.ask`` gives them; closed at the end.
        request: The request.
        end_search: Ends the search early; its last events still come.
        fallback: The server to ask if the answer of a search is not likely enough.

    Raises:
        Refusal: the search failed; if it failed early, before Beginning.
    """
    record: Record | None = None
    text = GrowingReply(request.stop, keeps_blanks=request.ask.problem.is_raw)
    prompt, begun, is_cut, spoke = Usage(), False, False, time.monotonic()
    async with aclosing(events):
        async for event in events:
            part: Progress | None = None
            if isinstance(event, SearchFailed):
                raise Refusal.of(event.error())
            if event is not None:
                record = Record.after(record, event)
                if isinstance(event, PromptRead) and not record.branches:  # what is read later is no prompt
                    prompt += event.usage
                if request.ask.is_searched:
                    part = ReasoningLine(line) if (line := progress_line(record, event)) else None
                elif request.ask.is_streamed:
                    part = _reply_part(text, event)
                if text.stopped_at is not None and not is_cut:
                    is_cut = True
                    end_search()
            if not begun and not isinstance(event, SearchStarted | Warned):
                begun, spoke = True, time.monotonic()
                yield Beginning(prompt)
            if part is None and time.monotonic() - spoke >= SILENT_SECONDS:
                part = Silence()
            if part is not None:
                spoke = time.monotonic()
                yield part
    assert record is not None, "the last event ends a search"
    outcome = SearchOutcome(request, record, prompt, (text.sent, text.stopped_at) if is_cut else None)
    async for last in _end(outcome, len(text.sent), fallback):
        yield last


def _reply_part(text: GrowingReply, event: Event) -> Progress | None:
    """The part of its thought or of its text that an event adds to a plain reply; None if it adds nothing."""
    if isinstance(event, StepProposed) and event.step.is_thought:
        thought = without_tags(event.step.text)
        return ReasoningLine(thought) if thought.strip() else None
    added = text.take(event)
    return AnswerText(added) if added else None


async def _end(outcome: SearchOutcome, sent: int, fallback: Fallback | None) -> AsyncIterator[Progress]:
    """The text after ``sent`` characters, and the outcome; the fallback is asked first if it is unsure."""
    if fallback is not None and outcome.request.ask.is_searched and fallback.is_for(outcome.record):
        is_quiet = outcome.record.started.problem.kind in _QUIET
        yield Silence() if is_quiet else ReasoningLine(f"= handed on to {fallback.server}\n")
        call = asyncio.ensure_future(fallback.ask(outcome.record.started.problem))
        try:
            while not (await asyncio.wait([call], timeout=SILENT_SECONDS))[0]:
                yield Silence()
            outcome = replace(outcome, handed_on=call.result())
        finally:
            call.cancel()
    if rest := outcome.choices[0].content[sent:]:
        yield AnswerText(rest)
    yield outcome


def progress_line(record: Record, event: Event) -> str:
    """The line of reasoning for the latest event of ``record``; empty for most events.

    Each finished step or program has a line, and each change of the votes.
    """
    if record.started.problem.kind in _QUIET:
        return ""
    match event:
        case StepScored() if all(candidate.node != event.node for candidate in record.candidates):
            node = record.tree[event.node]
            return f"{record.tree.label(node.id)} {_said(node)} [{_estimate(event.estimate)}]\n"
        case AnswersJudged(
            standing=Standing(answer=str() as answer, confidence=Estimate() as sure) as standing
        ):
            votes = f"{standing.votes} of {standing.finished}"
            return f"= {readable(answer)}: {votes} [{_estimate(sure)}]\n"
        case _:
            return ""


def _said(node: Node) -> str:
    """A step, or the output of a program, in one line."""
    assert node.step is not None, "only the root has no step"
    text = node.step.text
    if node.execution is not None:
        text = f"program: {node.execution.error.strip().rpartition(chr(10))[2] or node.execution.output}"
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.median:.0%}" if estimate.calibrated else f"score {estimate.median:.2f}"


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
