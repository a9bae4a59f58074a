"""A search as server-sent events while it runs, and as one object when it has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from adascale.engine.search.events import (
    BranchGrew,
    Event,
    SearchFailed,
    SearchStarted,
    StepProposed,
    Warned,
)
from adascale.engine.search.record import Record

from .completion import Completion, PromptMeter, cut_at_stop
from .errors import Refusal
from .progress import progress_line

COMMENT_EVERY = 5
"""So many times ``searches.PATIENCE`` without an event, a stream gets a comment: proxies close idle ones."""

Chunk = dict[str, Any] | None
"""An object to send; None for a comment."""

OnEnd = Callable[[Record], None]
"""Called with a search that has finished."""


class Following:
    """One search as far as its events go.

    Attributes:
        record: All of them.
        prompt: Tokens of the prompts.
    """

    def __init__(self) -> None:
        self._record: Record | None = None
        self.prompt = PromptMeter()

    @property
    def record(self) -> Record:
        """All events so far; the first one must have come."""
        assert self._record is not None
        return self._record

    def add(self, event: Event) -> None:
        """Take the next event.

        Raises:
            Refusal: it is the end of a search that failed.
        """
        if isinstance(event, SearchFailed):
            raise Refusal.of(event.error())
        self._record = Record.after(self._record, event)
        self.prompt.add(event)


async def collect(
    events: AsyncIterator[Event | None], completion: Completion, on_end: OnEnd
) -> dict[str, Any]:
    """The whole completion, when the search has ended.

    Raises:
        Refusal: the search failed.
    """
    following, lines = Following(), []
    async for event in events:
        if event is not None:
            following.add(event)
            lines.append(progress_line(following.record, event))
    on_end(following.record)
    reasoning = "" if completion.request.effort == "none" else "".join(lines)
    return completion.whole(following.record, following.prompt.usage, reasoning)


async def chunks(
    events: AsyncIterator[Event | None], completion: Completion, on_end: OnEnd
) -> AsyncIterator[Chunk]:
    """The chunks of a stream: the role, the reasoning, the answers, the ends, the usage.

    The first one comes when the prompt has been read, or with the first None among the events.

    Raises:
        Refusal: the search failed; before the first chunk it is a status.
    """
    following, content = Following(), _Content(completion.request.stop)
    begun, silent = False, 0
    async for event in events:
        if event is not None:
            following.add(event)
        if not begun and isinstance(event, SearchStarted | Warned):
            continue
        if not begun:
            begun = True
            yield completion.chunk({"role": "assistant", "content": ""})
        silent = silent + 1 if event is None else 0
        if event is None:
            if silent % COMMENT_EVERY == 0:
                yield None
        elif completion.request.effort == "none":
            if text := content.take(event):
                yield completion.chunk({"content": text})
        elif line := progress_line(following.record, event):
            yield completion.reasoning_chunk(line)
    on_end(following.record)
    for chunk in completion.last_chunks(following.record, following.prompt.usage, content.sent):
        yield chunk


class _Content:
    """The text of a single trajectory as it grows, without what may still be cut.

    Args:
        stops: Texts before which it ends.

    Attributes:
        sent: What was taken so far.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self.sent = ""
        self._steps = ""
        self._stops = stops
        self._held = max(map(len, stops), default=1) - 1

    def take(self, event: Event) -> str:
        """What an event adds."""
        match event:
            case StepProposed():
                self._steps += event.step.text
                text = self._steps
            case BranchGrew():
                text = self._steps + event.text
            case _:
                return ""
        kept = cut_at_stop(text.lstrip(), self._stops)
        if (
            kept == text.lstrip()
        ):  # no stop yet; half of one, half of a character or a last blank may stand there
            kept = kept[: len(kept) - self._held].rstrip().removesuffix("\N{REPLACEMENT CHARACTER}").rstrip()
        added = kept[len(self.sent) :]
        self.sent = max(self.sent, kept, key=len)
        return added
