"""Progress of a search for every protocol: its beginning, lines of reasoning, text, and its outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from adascale.engine.answers.latex import readable
from adascale.engine.answers.result import Standing
from adascale.engine.search.events import (
    AnswersJudged,
    Event,
    PromptRead,
    SearchFailed,
    SearchStarted,
    StepScored,
    Warned,
)
from adascale.engine.search.record import Record
from adascale.engine.search.reply import GrowingReply
from adascale.engine.search.tree import Node
from adascale.engine.types import Estimate, Usage
from adascale.models.fallback import Fallback

from .outcome import SearchOutcome
from .request import AnswerRequest
from .wire.http import Refusal

SILENT_SECONDS = 10.0
"""Time without a line or text after which there is a sign of life: proxies close silent connections."""

_WIDTH = 300
"""Characters of a step in its line."""

_QUIET = ("call", "json")
"""Kinds without lines of reasoning: agents would send them back."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The prompt has been read, or takes long; ``prompt`` has its tokens as far as they are known."""

    prompt: Usage


@dataclass(frozen=True, slots=True)
class ReasoningLine:
    """A line of reasoning, with its end of line."""

    line: str


@dataclass(frozen=True, slots=True)
class AnswerText:
    """The next piece of the first answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing was said for ``SILENT_SECONDS``; the search may have gone on."""


Progress = Beginning | ReasoningLine | AnswerText | Silence | SearchOutcome


async def follow(
    events: AsyncIterator[Event | None],
    request: AnswerRequest,
    end_search: Callable[[], object] = lambda: None,
    fallback: Fallback | None = None,
) -> AsyncIterator[Progress]:
    """Progress of a search: its Beginning first, its SearchOutcome last.

    The texts of all AnswerText together are the content of the first answer. A stop text ends a reply that is
    not searched for.

    Args:
        events: Events of the search; None after each ``hub.PATIENCE`` without one.
        request: The question.
        end_search: Ends the search with what it has found; its last events come all the same.
        fallback: Gets a question that was searched for, if its answer is not sure enough.

    Raises:
        Refusal: the search failed; before Beginning if it failed early.
    """
    record: Record | None = None
    text = GrowingReply(request.stop, keeps_blanks=request.ask.problem.is_raw)
    prompt, begun, is_cut, spoke = Usage(), False, False, time.monotonic()
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
                part = AnswerText(added) if (added := text.take(event)) else None
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


async def _end(outcome: SearchOutcome, sent: int, fallback: Fallback | None) -> AsyncIterator[Progress]:
    """The rest of the text behind ``sent`` characters, and the outcome, by another server if it is unsure."""
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
    """The line of reasoning for an event that ``record`` has taken; empty for most events.

    A finished step or program has a line, and so has each change of the votes. A solution that is judged
    again when others end has none.
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
