"""Progress of a search, for every protocol: its beginning, lines of reasoning, text, and its outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

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
from adascale.engine.search.reply import GrowingReply
from adascale.engine.search.tree import Node
from adascale.engine.types import Estimate, Usage
from adascale.models.fallback import Fallback
from adascale.models.llama.thinking import without_tags

from .outcome import SearchOutcome
from .request import AnswerRequest
from .wire.http import Refusal

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
