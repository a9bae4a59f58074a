"""From the events of a search to the answer of a protocol, whole or as a stream.

``follow`` makes parts of the events, which all protocols share; a ``Writer`` gives them a protocol's form.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from adascale.engine.answer import GrowingReply
from adascale.engine.answers.latex import readable
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import kind_of
from adascale.engine.search.events import (
    AnswerFound,
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
from adascale.engine.search.tree import Tree
from adascale.engine.tools.calls import Call
from adascale.engine.types import PROGRAMS, NodeId, Usage, percent, probability_of
from adascale.models.fallback import Fallback
from adascale.models.llama.thinking import without_tags

from .body import Body
from .http import COMMENT, JsonObject, Refusal
from .outcome import Completion, Outcome
from .request import Ask

SILENT_SECONDS = 10.0
"""Time without output after which something empty is sent, since proxies close silent connections."""

_WIDTH = 300
"""Largest number of characters of a step in its line."""

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Part:
    """News of a search; empty at its beginning.

    Attributes:
        reasoning: A line of reasoning, with its newline; of a plain reply a part of its thought.
        text: The next piece of the first answer.
        prompt: Tokens of the prompts that were read so far.
    """

    reasoning: str = ""
    text: str = ""
    prompt: Usage = Usage()


async def follow(
    events: AsyncGenerator[Event, None],
    ask: Ask,
    end_search: Callable[[], object] = lambda: None,
    fallback: Fallback | None = None,
) -> AsyncGenerator[Part | Outcome, None]:
    """The parts of a search: an empty one once the prompt is read, and the outcome at the end.

    All texts together are the content of the first answer. A stop text ends a plain reply.

    Args:
        events: Events of the search, as ``Hub.ask`` gives them; closed at the end.
        ask: The request.
        end_search: Ends the search early; its last events still come.
        fallback: The server to ask if the answer of a search is not likely enough.

    Raises:
        Refusal: the search failed; if it failed early, before the first part.
    """
    record: Record | None = None
    text = GrowingReply(ask.stop)
    is_searched = ask.is_searched
    prompt, has_begun, is_cut = Usage(), False, False
    async with aclosing(events):
        async for event in events:
            if isinstance(event, SearchFailed):
                raise Refusal.of(event.error())
            record = Record.after(record, event)
            if isinstance(event, PromptRead) and not record.branches:  # what is read later is no prompt
                prompt += event.usage
            part = Part(_line(record, event)) if is_searched else _reply_part(text, event)
            if text.stopped_at is not None and not is_cut:
                is_cut = True
                end_search()
            if not has_begun and not isinstance(event, SearchStarted | Warned):
                has_begun = True
                yield Part(prompt=prompt)
            if part.reasoning or part.text:
                yield part
    assert record is not None, "the last event ends a search"
    outcome = Outcome(ask, record, prompt, (text.sent, text.stopped_at) if is_cut else None)
    async for last in _end(outcome, len(text.sent), fallback):
        yield last


def _reply_part(text: GrowingReply, event: Event) -> Part:
    """The part of its thought or of its text that an event adds to a plain reply."""
    if isinstance(event, StepProposed) and event.step.is_thought:
        thought = without_tags(event.step.text)
        return Part(reasoning=thought if thought.strip() else "")
    return Part(text=text.take(event))


async def _end(outcome: Outcome, sent: int, fallback: Fallback | None) -> AsyncIterator[Part | Outcome]:
    """The text after ``sent`` characters, and the outcome; the fallback is asked first if it is unsure."""
    record = outcome.record
    ask = outcome.ask
    if fallback is not None and ask.is_searched and fallback.is_for(record):
        is_quiet = entry_of(record.started.problem).has_schema
        yield Part("" if is_quiet else f"Handed on to {fallback.server}\n")
        outcome = replace(outcome, handed_on=await fallback.ask_beside(record.started.problem))
    if rest := outcome.reply.content[sent:]:
        yield Part(text=rest)
    yield outcome


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
            return f"{_named(tree, event.node)}: {_short(step.text if step else '')}{_likely(event)}\n"
        case AnswerFound():
            run, ends = tree[event.node].execution, "has no answer"
            if run is not None and run.error:
                ends = _short(f"fails: {run.error.strip().rpartition(chr(10))[2]}")
            elif event.answer is not None:
                answer = kind_of(problem).shown(problem, event.answer, run) or event.answer
                says = (
                    "runs to its end" if entry_of(problem).has_tests else f"says {_short(readable(answer))}"
                )
                ends = f"{says}{_likely(event)}"
            mode = "a program" if tree[event.node].mode in PROGRAMS else "in words"
            return f"{_named(tree, event.node)}, {mode}, {ends}\n"
        case AnswersJudged() if record.answer is not None:
            answer = kind_of(problem).shown(problem, record.answer, None) or record.answer
            return f"{readable(answer)} leads: {' · '.join(record.support)}\n"
        case _:
            return ""


def _named(tree: Tree, node: NodeId) -> str:
    """``Solution 2``, by the place of its first step."""
    return f"Solution {tree.label(node).partition('.')[0]}"


def _short(text: str) -> str:
    """A text in one line."""
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _likely(event: StepScored | AnswerFound) -> str:
    p = probability_of(event.estimate)
    return "" if p is None else f" ({percent(p)} likely to be right)"


@dataclass(frozen=True, slots=True)
class Protocol(Generic[B]):
    """A protocol.

    Attributes:
        path: Path of its route.
        body: Model of a request's body.
        writer: Makes the writer of an answer.
        media_type: Media type of a stream.
    """

    path: str
    body: type[B]
    writer: Callable[[Any, Ask], Writer[Any]]
    media_type: str = "text/event-stream"


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
    """Writes one answer: as a stream, or whole from the blocks that the stream has.

    Args:
        body: Body of the request.
        ask: The question.

    Attributes:
        token: The part that all ids in the answer share.
        created: Unix time in seconds.
        blocks: Blocks so far, of which only the last one may be open.
    """

    def __init__(self, body: B, ask: Ask) -> None:
        self.body = body
        self.ask = ask
        self.token = ask.problem.id
        self.created = int(time.time())
        self.blocks: list[Block] = []
        self._is_open = False

    def begin(self, prompt: Usage) -> Iterator[bytes]:
        """The beginning of a stream; nothing where the first text is one."""
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
        """Something without content, since proxies close silent connections."""
        return COMMENT

    @abstractmethod
    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The end of the stream, behind the last block."""

    @abstractmethod
    def whole(self, outcome: Outcome) -> JsonObject:
        """The body of a response that is not streamed, once all blocks are there."""

    @abstractmethod
    def fail(self, refusal: Refusal) -> bytes:
        """An error after the beginning, too late for a status."""

    def events(self, part: Part | Outcome, *, is_first: bool) -> Iterator[bytes]:
        """The events of a part; the outcome ends the stream."""
        if isinstance(part, Outcome):
            yield from self._finish(part.reply)
            yield from self.end(part)
        elif is_first:
            yield from self.begin(part.prompt)
        elif part.reasoning or part.text:
            yield from self._add("reasoning" if part.reasoning else "answer", part.reasoning or part.text)
        else:
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

    def _finish(self, reply: Completion) -> Iterator[bytes]:
        """Close the answer, which may be empty, and write a block for each call."""
        if reply.content or not reply.calls:
            yield from self._add("answer", "")
        yield from self._close(is_cut=reply.finish == "length")
        for call in reply.calls:
            yield from self._add("call", json.dumps(call.arguments, ensure_ascii=False), call)
            yield from self._close()


async def lively(parts: AsyncGenerator[Part | Outcome, None]) -> AsyncGenerator[Part | Outcome, None]:
    """The parts, and an empty one after every ``SILENT_SECONDS`` without one; ``parts`` is closed at the end.

    A client learns by it that the search goes on, and the server that the client has gone.
    """
    async with aclosing(parts):
        while True:
            coming = asyncio.ensure_future(anext(parts, None))
            try:
                while not (await asyncio.wait([coming], timeout=SILENT_SECONDS))[0]:
                    yield Part()
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait([coming])
            if (part := coming.result()) is None:
                return
            yield part


async def collect(parts: AsyncGenerator[Part | Outcome, None], writer: Writer[B]) -> JsonObject:
    """The body of a response, once the search has ended; ``parts`` is closed then.

    Raises:
        Refusal: the search failed.
    """
    is_first = True
    async with aclosing(parts):
        async for part in parts:
            list(writer.events(part, is_first=is_first))
            is_first = False
            if isinstance(part, Outcome):
                return writer.whole(part)
    raise AssertionError("the last part is the outcome")


async def stream(
    parts: AsyncGenerator[Part | Outcome, None], writer: Writer[B]
) -> AsyncGenerator[bytes, None]:
    """Server-sent events during the search; ``parts`` is closed at their end.

    Raises:
        Refusal: the search failed before it began.
    """
    is_first = True
    async with aclosing(lively(parts)) as parts:
        try:
            async for part in parts:
                yield b"".join(writer.events(part, is_first=is_first))
                is_first = False
        except Refusal as refusal:
            if is_first:
                raise
            yield writer.fail(refusal)
