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
    NOT_NEEDED,
    AnswerFound,
    AnswersJudged,
    Event,
    NodesPruned,
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
from .outcome import Outcome
from .request import Ask, ServedModel

SILENT_SECONDS = 10.0
"""Time without output after which something empty is sent, since proxies close silent connections."""

_WIDTH = 300
"""Largest number of characters of a step in its line."""

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Part:
    """News of a search; empty at its beginning, and where it was silent for long.

    Attributes:
        reasoning: A line of reasoning, with its newline; of a plain reply a part of its thought.
        text: The next piece of the first answer.
        prompt: Tokens of the prompts that were read so far.
    """

    reasoning: str = ""
    text: str = ""
    prompt: Usage = Usage()


async def follow(
    events: AsyncGenerator[Event | None, None],
    ask: Ask,
    end_search: Callable[[], object] = lambda: None,
    fallback: Fallback | None = None,
) -> AsyncGenerator[Part | Outcome, None]:
    """The parts of a search: an empty one once the prompt is read, or takes long, and the outcome at the end.

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
    is_searched, is_streamed = ask.is_searched, ask.is_streamed
    prompt, begun, is_cut, spoke = Usage(), False, False, time.monotonic()
    async with aclosing(events):
        async for event in events:
            part = Part()
            if isinstance(event, SearchFailed):
                raise Refusal.of(event.error())
            if event is not None:
                record = Record.after(record, event)
                if isinstance(event, PromptRead) and not record.branches:  # what is read later is no prompt
                    prompt += event.usage
                if is_searched:
                    part = Part(_line(record, event))
                elif is_streamed:
                    part = _reply_part(text, event)
                if text.stopped_at is not None and not is_cut:
                    is_cut = True
                    end_search()
            if not begun and not isinstance(event, SearchStarted | Warned):
                begun, spoke = True, time.monotonic()
                yield Part(prompt=prompt)
            if part != Part() or time.monotonic() - spoke >= SILENT_SECONDS:
                spoke = time.monotonic()
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
    if fallback is not None and ask.is_searched and ask.answers == 1 and fallback.is_for(record):
        is_quiet = entry_of(record.started.problem).has_schema
        yield Part("" if is_quiet else f"Handed on to {fallback.server}\n")
        call = asyncio.ensure_future(fallback.ask_beside(record.started.problem))
        try:
            while not (await asyncio.wait([call], timeout=SILENT_SECONDS))[0]:
                yield Part()
            outcome = replace(outcome, handed_on=call.result())
        finally:
            call.cancel()
    if rest := outcome.choices[0].content[sent:]:
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
        case NodesPruned() if event.reason not in (NOT_NEEDED, "cut"):
            return f"{_named(tree, event.nodes[0])} is cut here: {event.reason}\n"
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
        read: Reads a body.
        writer: Makes the writer of an answer.
        media_type: Media type of a stream.
    """

    path: str
    body: type[B]
    read: Callable[[B, ServedModel], Ask]
    writer: Callable[[Any, Ask], Writer[Any]]
    media_type: str = "text/event-stream"


class Writer(ABC, Generic[B]):
    """Writes one answer: whole, or as a stream, whose next server-sent events each method yields.

    Args:
        body: Body of the request.
        ask: The question.

    Attributes:
        token: The part that all ids in the answer share.
        created: Unix time in seconds.
    """

    def __init__(self, body: B, ask: Ask) -> None:
        self.body = body
        self.ask = ask
        self.token = ask.problem.id
        self.created = int(time.time())

    @abstractmethod
    def whole(self, outcome: Outcome, reasoning: str) -> JsonObject:
        """The body of a response that is not streamed."""

    def begin(self, prompt: Usage) -> Iterator[bytes]:
        """The beginning of a stream; nothing where the first text is one."""
        return iter(())

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
    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The end of the stream."""

    @abstractmethod
    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """An error after the beginning, too late for a status."""

    def events(self, part: Part | Outcome, *, is_first: bool) -> Iterator[bytes]:
        """The events of a part."""
        if isinstance(part, Outcome):
            return self.end(part)
        if is_first:
            return self.begin(part.prompt)
        if part.reasoning:
            return self.reason(part.reasoning)
        return self.write(part.text) if part.text else self.keep_alive()


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


class BlockWriter(Writer[B]):
    """Writer of a protocol whose answer is a list of blocks; only the last one is still open."""

    def __init__(self, body: B, ask: Ask) -> None:
        super().__init__(body, ask)
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

    def close(self, outcome: Outcome) -> Iterator[bytes]:
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

    def finished(self, outcome: Outcome, reasoning: str) -> list[Block]:
        """The blocks of an answer that is not streamed."""
        if reasoning:
            list(self.reason(reasoning))
        if outcome.choices[0].content:
            list(self.write(outcome.choices[0].content))
        list(self.close(outcome))
        return self.blocks

    def _add(self, kind: Literal["reasoning", "answer"], text: str) -> Iterator[bytes]:
        if not self.blocks or self.blocks[-1].kind != kind:
            if self.blocks:
                yield from self.closed(self.blocks[-1])
            self.blocks.append(Block(len(self.blocks), kind))
            yield from self.opened(self.blocks[-1])
        if text:
            self.blocks[-1].text += text
            yield self.grown(self.blocks[-1], text)


def to_json(call: Call) -> str:
    """The arguments of a call as JSON."""
    return json.dumps(call.arguments, ensure_ascii=False)


async def collect(parts: AsyncGenerator[Part | Outcome, None], writer: Writer[B]) -> JsonObject:
    """The body of a response, once the search has ended; ``parts`` is closed then.

    Raises:
        Refusal: the search failed.
    """
    reasoning = ""
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Outcome):
                return writer.whole(part, reasoning)
            reasoning += part.reasoning
    raise AssertionError("the last part is the outcome")


async def stream(
    parts: AsyncGenerator[Part | Outcome, None], writer: Writer[B]
) -> AsyncGenerator[bytes, None]:
    """Server-sent events during the search; ``parts`` is closed at their end.

    Raises:
        Refusal: the search failed before it began.
    """
    is_first = True
    async with aclosing(parts):
        try:
            async for part in parts:
                yield b"".join(writer.events(part, is_first=is_first))
                is_first = False
        except Refusal as refusal:
            if is_first:
                raise
            yield b"".join(writer.fail(refusal))
