"""From the events of a search to the answer of a protocol, whole or as a stream.

``follow`` makes parts of the events, which all protocols share; a ``Writer`` gives them a protocol's form.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

from adascale.engine.answer import Answer, GrowingReply
from adascale.engine.answers.latex import readable
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import kind_of
from adascale.engine.search.events import (
    AnswerFound,
    AnswersJudged,
    Event,
    SearchFailed,
    SearchStarted,
    StepProposed,
    StepScored,
    Warned,
)
from adascale.engine.search.record import Record
from adascale.engine.search.tree import Tree
from adascale.engine.tools.calls import Call
from adascale.engine.types import PROGRAMS, NodeId, percent, probability_of
from adascale.models.fallback import Fallback
from adascale.models.llama.thinking import without_tags

from .body import Body
from .http import COMMENT, JsonObject, Refusal
from .outcome import Outcome, outcome_of
from .request import Ask

SILENT_SECONDS = 10.0
"""Time without output after which a stream sends a sign of life: proxies close silent connections."""

_WIDTH = 300
"""Largest number of characters of a step in its line."""


class Part(NamedTuple):
    """A piece of an answer; one without text shows that the search is running.

    Attributes:
        kind: Reasoning, which is a line of its own for a search, or the first answer.
        text: The piece.
    """

    kind: Literal["reasoning", "answer"] = "answer"
    text: str = ""


async def follow(
    events: AsyncGenerator[Event, None],
    ask: Ask,
    end_search: Callable[[], object] = lambda: None,
    fallback: Fallback | None = None,
) -> AsyncGenerator[Part | Outcome, None]:
    """The parts of a search: an empty one once it has begun, and the outcome at the end.

    All texts together are the content of the first answer. A stop text ends a plain reply.

    Args:
        events: Events of the search, as ``Hub.ask`` yields them; closed at the end.
        ask: The request.
        end_search: Ends the search early; its last events still come.
        fallback: The server to ask if the answer of a search is not likely enough.

    Raises:
        Refusal: the search failed; if it failed early, before the first part.
    """
    record: Record | None = None
    reply = GrowingReply(ask.stop)
    is_searched, has_begun = ask.is_searched, False
    async with aclosing(events):
        async for event in events:
            if isinstance(event, SearchFailed):
                raise Refusal.of(event.error())
            record = Record.after(record, event)
            if not has_begun and not isinstance(event, SearchStarted | Warned):
                has_begun = True
                yield Part()
            part = Part("reasoning", _line(record, event)) if is_searched else _reply_part(reply, event)
            if part.text:
                yield part
            if reply.stopped_at is not None:
                end_search()
    assert record is not None, "the last event ends a search"
    handed_on = None
    if fallback is not None and is_searched and fallback.is_for(record):
        problem = record.started.problem
        if not entry_of(problem).has_schema:
            yield Part("reasoning", f"Handed on to {fallback.server}\n")
        handed_on = await fallback.ask_beside(problem)
    outcome = outcome_of(ask, Answer.of(record, handed_on=handed_on), reply.sent, reply.stopped_at)
    if rest := outcome.content[len(reply.sent) :]:
        yield Part("answer", rest)
    yield outcome


def _reply_part(reply: GrowingReply, event: Event) -> Part:
    """The part of its thought or of its text that an event adds to a plain reply."""
    if isinstance(event, StepProposed) and event.step.is_thought:
        thought = without_tags(event.step.text)
        return Part("reasoning", thought if thought.strip() else "")
    return Part("answer", reply.take(event))


def _line(record: Record, event: Event) -> str:
    """The line of reasoning for the latest event of ``record``; empty for most events.

    Each step has a line, each end of a solution, and each change of the votes.
    """
    tree, problem = record.tree, record.started.problem
    if entry_of(problem).has_schema:  # agents would send the lines back
        return ""
    match event:
        case StepScored() if tree[event.node].status == "open":
            step = tree[event.node].step
            return f"{_name(tree, event.node)}: {_short(step.text if step else '')}{_likely(event)}\n"
        case AnswerFound():
            run, end = tree[event.node].execution, "has no answer"
            if run is not None and run.error:
                end = _short(f"fails: {run.error.strip().rpartition(chr(10))[2]}")
            elif event.answer is not None and entry_of(problem).has_tests:
                end = f"runs to its end{_likely(event)}"
            elif event.answer is not None:
                answer = kind_of(problem).shown(problem, event.answer, run) or event.answer
                end = f"answers {_short(readable(answer))}{_likely(event)}"
            mode = "a program" if tree[event.node].mode in PROGRAMS else "in words"
            return f"{_name(tree, event.node)}, {mode}, {end}\n"
        case AnswersJudged() if record.answer is not None:
            answer = kind_of(problem).shown(problem, record.answer, None) or record.answer
            return f"{readable(answer)} leads: {' · '.join(record.support)}\n"
        case _:
            return ""


def _name(tree: Tree, node: NodeId) -> str:
    """``Solution 2``, by the place of its first step."""
    return f"Solution {tree.label(node).partition('.')[0]}"


def _short(text: str) -> str:
    """A text in one line."""
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _likely(event: StepScored | AnswerFound) -> str:
    p = probability_of(event.estimate)
    return "" if p is None else f" ({percent(p)} likely to be correct)"


B = TypeVar("B", bound=Body)


@dataclass(slots=True)
class Block:
    """A block of an answer.

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


class Writer(ABC, Generic[B]):
    """Writes one answer of a protocol: as a stream, or whole from the blocks that the stream has.

    Args:
        body: Body of the request.
        ask: The question.

    Attributes:
        path: Path of the protocol's route.
        media_type: Media type of a stream.
        token: The part that all ids in the answer share.
        created: Unix time in seconds.
        blocks: Blocks so far, of which only the last one may be open.
        has_begun: Something was written.
    """

    path: ClassVar[str]
    media_type: ClassVar[str] = "text/event-stream"

    def __init__(self, body: B, ask: Ask) -> None:
        self.body = body
        self.ask = ask
        self.token = ask.problem.id
        self.created = int(time.time())
        self.blocks: list[Block] = []
        self.has_begun = self._is_open = False

    def begin(self) -> Iterator[bytes]:
        """The beginning of a stream; empty if its first block is the beginning."""
        return iter(())

    def opened(self, block: Block) -> Iterator[bytes]:
        """Open a block."""
        return iter(())

    @abstractmethod
    def grown(self, block: Block, text: str) -> bytes:
        """Add text to the last block."""

    def closed(self, block: Block, *, is_cut: bool = False) -> Iterator[bytes]:
        """Close a block, which is complete or was cut by a token limit."""
        return iter(())

    def keep_alive(self) -> bytes:
        """A sign of life without content."""
        return COMMENT

    @abstractmethod
    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The end of the stream, after the last block."""

    @abstractmethod
    def whole(self, outcome: Outcome) -> JsonObject:
        """The body of a response that is not streamed, once all blocks are there."""

    @abstractmethod
    def fail(self, refusal: Refusal) -> bytes:
        """An error after the beginning, too late for a status."""

    def events(self, part: Part | Outcome) -> Iterator[bytes]:
        """The events of a part; the first one begins the stream, and the outcome ends it."""
        is_first, self.has_begun = not self.has_begun, True
        if is_first:
            yield from self.begin()
        if isinstance(part, Outcome):
            yield from self._finish(part)
            yield from self.end(part)
        elif part.text:
            yield from self._add(part.kind, part.text)
        elif not is_first:
            yield self.keep_alive()

    def text(self, kind: Literal["reasoning", "answer"]) -> str:
        """The text of all blocks of a kind."""
        return "".join(block.text for block in self.blocks if block.kind == kind)

    def _add(
        self, kind: Literal["reasoning", "answer", "call"], text: str, call: Call | None = None
    ) -> Iterator[bytes]:
        if not self._is_open or self.blocks[-1].kind != kind:
            yield from self._close()
            self.blocks.append(Block(len(self.blocks), kind, call=call))
            self._is_open = True
            yield from self.opened(self.blocks[-1])
        if text:
            self.blocks[-1].text += text
            yield self.grown(self.blocks[-1], text)

    def _close(self, *, is_cut: bool = False) -> Iterator[bytes]:
        if self._is_open:
            self._is_open = False
            yield from self.closed(self.blocks[-1], is_cut=is_cut)

    def _finish(self, outcome: Outcome) -> Iterator[bytes]:
        """Close the answer, which may be empty, and write a block for each call."""
        if outcome.content or not outcome.calls:
            yield from self._add("answer", "")
        yield from self._close(is_cut=outcome.finish == "length")
        for call in outcome.calls:
            yield from self._add("call", json.dumps(call.arguments, ensure_ascii=False), call)
            yield from self._close()


async def collect(parts: AsyncGenerator[Part | Outcome, None], writer: Writer[B]) -> JsonObject:
    """The body of a response, once the search has ended; ``parts`` is closed then.

    Raises:
        Refusal: the search failed.
    """
    async with aclosing(parts):
        async for part in parts:
            list(writer.events(part))
            if isinstance(part, Outcome):
                return writer.whole(part)
    raise AssertionError("the last part is the outcome")


async def stream(
    parts: AsyncGenerator[Part | Outcome, None], writer: Writer[B]
) -> AsyncGenerator[bytes, None]:
    """A stream of the answer, with a sign of life after ``SILENT_SECONDS``; ``parts`` is closed at its end.

    Raises:
        Refusal: the search failed before it began.
    """
    async with aclosing(parts):
        while True:
            coming = asyncio.ensure_future(anext(parts, None))
            try:
                while not (await asyncio.wait([coming], timeout=SILENT_SECONDS))[0]:
                    yield b"".join(writer.events(Part()))
                part = coming.result()
            except Refusal as refusal:
                if not writer.has_begun:
                    raise
                yield writer.fail(refusal)
                return
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait([coming])
            if part is None:
                return
            yield b"".join(writer.events(part))
