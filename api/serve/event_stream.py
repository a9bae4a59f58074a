"""The event log of a search while it runs: ``POST /v1/searches``, for the page.

Each server-sent event is an event of the log, as a line of a trace, so that the page folds the stream as a
replay folds a trace.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any

from pydantic import FailFast, Field

from adascale.engine.answers.latex import readable
from adascale.engine.search.events import (
    BranchGrew,
    BranchStarted,
    Event,
    SearchFailed,
    SearchStarted,
    StepProposed,
    Warned,
    to_json,
)
from adascale.engine.types import BranchId, Role, Turn

from .body import MAX_MESSAGES, Effort, Fields
from .http import COMMENT, Refusal, for_clients
from .http import event as write
from .hub import Ask
from .request import SearchOptions, ServedModel, problem_for, public_name

PATH = "/v1/searches"

_SHOWN = frozenset({"text", "answer"})
"""Fields that hold text of a model."""


class EarlierMessage(Fields):
    """An earlier message of the conversation."""

    role: Role
    content: str


class SearchBody(Fields):
    """Body of a search."""

    question: str
    history: Annotated[list[EarlierMessage], Field(max_length=MAX_MESSAGES), FailFast()] = []
    """The conversation before the question."""
    effort: Effort | None = None
    """How hard to try to answer a question that is searched."""


def read_ask(body: SearchBody, served: ServedModel) -> Ask:
    """The search of a body.

    Raises:
        Refusal: the question is empty.
    """
    if not body.question.strip():
        raise Refusal.of_field("question", "is empty", "empty-question")
    history = tuple(Turn(said.role, said.content) for said in body.history)
    options = SearchOptions(served.effort_of(None, body.effort) or served.effort)
    return options.ask(problem_for(body.question, options, history=history, is_searched=False))


async def write_log(events: AsyncGenerator[Event | None, None]) -> AsyncGenerator[bytes, None]:
    """Server-sent events, with plain characters instead of LaTeX in prose; a comment for each None.

    Args:
        events: Events of a search; None after a while without one. They are closed at their end.
    """
    programs: set[BranchId] = set()
    async with aclosing(events):
        async for event in events:
            if event is None:
                yield COMMENT
                continue
            if isinstance(event, BranchStarted) and event.mode != "prose":
                programs.add(event.branch)
            is_program = isinstance(event, BranchGrew | StepProposed) and event.branch in programs
            data = to_json(_public(event))
            yield write(data if is_program else _readable(data))


def _public(event: Event) -> Event:
    """The event without folders of this machine, which names of models and of a calibration may hold.

    Settings in messages become those of the server.
    """
    if isinstance(event, SearchFailed | Warned):
        said = event.notice
        message, hint, *facts = map(for_clients, (said.message, said.hint, *said.facts))
        return replace(event, notice=replace(said, message=message, hint=hint, facts=tuple(facts)))
    if not isinstance(event, SearchStarted):
        return event
    models = event.models
    named = replace(
        models,
        generator=models.generator and replace(models.generator, name=public_name(models.generator)),
        prm=models.prm and replace(models.prm, name=public_name(models.prm)),
        calibration=models.calibration and {**models.calibration, "file": None},
    )
    return replace(event, models=named)


def _readable(value: Any, name: str = "") -> Any:
    """JSON with plain characters instead of LaTeX in the fields that are shown."""
    match value:
        case str() if name in _SHOWN:
            return readable(value)
        case dict():
            return {key: _readable(item, key) for key, item in value.items()}
        case list():
            return [_readable(item) for item in value]
        case _:
            return value
