"""The event log of a search while it runs: ``POST /v1/searches``, for the page.

Each server-sent event is an event of the log, as a line of a trace, so that clients fold the stream as they
replay a trace.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from adascale.engine.answers.latex import readable
from adascale.engine.errors import UsageError
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
from adascale.engine.strategies import ModeChoice
from adascale.engine.types import BranchId, Budget, MessageKind, Role, Turn

from ..bodies.fields import MAX_MESSAGES, Effort, Fields, Seed, Tokens
from ..hub import Ask
from ..request import SearchOptions, problem_for
from ..served import ServedModel, public_name
from ..wire.http import COMMENT, JsonObject, Refusal, for_clients
from ..wire.http import event as write

PATH = "/v1/searches"

_SHOWN = frozenset({"text", "answer"})
"""Fields that hold text of a model."""


class EarlierMessage(Fields):
    """An earlier message of the conversation."""

    role: Role
    content: str


class SearchBody(Fields):
    """Body of a search: a question, and options of ``adascale ask``."""

    question: str
    history: Annotated[list[EarlierMessage], Field(max_length=MAX_MESSAGES), FailFast()] = []
    """The conversation before the question."""
    model: str | None = None
    """Name of the model, alone or with an effort, as ``NAME:high``."""
    kind: MessageKind | Literal["auto"] | None = None
    """Kind to take the question for; ``auto`` recognises it, even beside an effort or a mode."""
    choices: Annotated[list[str], Field(max_length=26), FailFast()] = []
    """Options to choose from, which make it a choice."""
    schema_: Annotated[JsonObject | None, Field(alias="schema")] = None
    """JSON schema of an object in which the content of the question is wanted."""
    effort: Effort | None = None
    """How hard to try; without it and without a mode the question decides."""
    mode: ModeChoice = "auto"
    """How to reason."""
    max_tokens: Tokens | None = None
    max_seconds: Annotated[float, Field(ge=0.001, le=86_400)] | None = None
    seed: Seed = None
    readable: bool = False
    """Plain characters instead of LaTeX in prose."""


def read_ask(body: SearchBody, served: ServedModel) -> Ask:
    """The search of a body.

    Raises:
        Refusal: the question is empty or cannot be of the kind, another model is asked for, or its name says
            another effort.
    """
    question = body.question
    if not question.strip():
        raise Refusal.of_field("question", "is empty", "empty-question")
    served.ignored(body)
    effort = served.effort_of(body.model, body.effort, "effort")
    if effort == "chat" and body.mode == "program":
        raise Refusal.of_field("mode", "a chat is written in prose", "unsupported-value")
    history = tuple(Turn(said.role, said.content) for said in body.history)
    limits = Budget(body.max_tokens, body.max_seconds)
    is_chosen = effort is not None or body.mode != "auto"
    options = SearchOptions(effort or served.effort, limits, body.seed, body.mode)
    try:
        problem = problem_for(
            question,
            options,
            kind=None if body.kind == "auto" else body.kind,
            choices=body.choices,
            schema=body.schema_,
            history=history,
            is_searched=is_chosen and body.kind is None,
        )
    except UsageError as error:
        raise Refusal.of(error) from error
    return options.ask(problem)


async def write_log(
    events: AsyncGenerator[Event | None, None], *, is_readable: bool
) -> AsyncGenerator[bytes, None]:
    """Server-sent events; a comment for each None. ``events`` is closed at their end.

    Args:
        events: Events of a search; None after a while without one.
        is_readable: Plain characters instead of LaTeX in prose, for a client that shows it.
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
            yield write(_readable(data) if is_readable and not is_program else data)


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
