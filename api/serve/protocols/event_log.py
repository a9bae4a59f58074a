"""The event log of a search while it runs: ``POST /v1/searches``, for ``adascale ask --server`` and the page.

Each server-sent event is an event of the log, as a line of a trace has it, so that clients fold the stream as
they replay a trace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, get_args

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
from adascale.engine.strategies import ModeChoice
from adascale.engine.types import BranchId, Budget, Problem

from ..http.errors import for_clients
from ..http.fields import FLAG, TEXT, FieldType, JsonObject, number, one_of, shape, wrong
from ..search.request import EFFORTS, SEED, TOKENS, ServedModel, public_name
from ..search.searches import Ask, strategy_of
from . import rendering

PATH = "/v1/searches"

_MAX_SECONDS = 86_400.0

_SHOWN = frozenset({"text", "answer"})
"""Fields that hold what a model has written."""


def search_fields(served: ServedModel) -> FieldType:
    """A body: a question, and what ``adascale ask`` takes as options."""
    return shape(
        {
            "question": TEXT,
            "model": served.fields["model"],
            "effort": one_of(*EFFORTS),
            "mode": one_of(*get_args(ModeChoice)),
            "max_tokens": TOKENS,
            "max_seconds": number(0.001, _MAX_SECONDS),
            "seed": SEED,
            "readable": FLAG,
        },
        "question",
    )


def read_ask(body: JsonObject, served: ServedModel, id_: str, client: str) -> Ask:
    """What a body asks for that ``search_fields`` has read.

    Raises:
        Refusal: the question is empty, or the model's name says another effort.
    """
    question = body["question"].strip()
    if not question:
        raise wrong("question", "is empty", "empty-question")
    model, asked = body.get("model", served.name), body.get("effort")
    effort = served.effort_of(model, asked, "effort")
    if effort is None:
        has_mode = body.get("mode", "auto") != "auto"
        effort = served.effort if has_mode else served.effort_for(question, model, None, "effort")
    if effort == "chat" and body.get("mode") == "program":
        raise wrong("mode", "a chat is written in prose", "unsupported-value")
    limits = Budget(body.get("max_tokens"), body.get("max_seconds"))
    return Ask(
        Problem(id_, question, kind="text" if effort == "chat" else "value"),
        strategy_of(effort),
        body.get("mode", "auto"),
        limits,
        body.get("seed"),
        client,
    )


async def write_log(events: AsyncIterator[Event | None], *, is_readable: bool) -> AsyncIterator[bytes]:
    """Server-sent events; a comment at the beginning, and for each None.

    Args:
        events: Events of a search; None where there was none for a while.
        is_readable: Whether prose has plain characters in the place of LaTeX, for a client that shows it.
    """
    yield rendering.COMMENT
    programs: set[BranchId] = set()
    async for event in events:
        if event is None:
            yield rendering.COMMENT
            continue
        if isinstance(event, BranchStarted) and event.mode != "prose":
            programs.add(event.branch)
        is_program = isinstance(event, BranchGrew | StepProposed) and event.branch in programs
        data = to_json(_public(event))
        yield rendering.event(_readable(data) if is_readable and not is_program else data)


def _public(event: Event) -> Event:
    """Without the folders of this machine, which names of models and of a calibration may hold.

    Settings in messages are named as those of the server.
    """
    if isinstance(event, SearchFailed | Warned):
        said = event.notice
        message, hint, *facts = map(for_clients, (said.message, said.hint, *said.facts))
        return replace(event, notice=replace(said, message=message, hint=hint, facts=tuple(facts)))
    if not isinstance(event, SearchStarted):
        return event
    models = event.models
    if models.generator is not None:
        models = replace(models, generator=replace(models.generator, name=public_name(models.generator)))
    if models.prm is not None:
        models = replace(models, prm=replace(models.prm, name=public_name(models.prm)))
    if models.calibration is not None:
        models = replace(models, calibration={**models.calibration, "file": None})
    return replace(event, models=models)


def _readable(value: Any, name: str = "") -> Any:
    """JSON with plain characters in the place of LaTeX in the fields that are shown."""
    match value:
        case str() if name in _SHOWN:
            return readable(value)
        case dict():
            return {key: _readable(item, key) for key, item in value.items()}
        case list():
            return [_readable(item) for item in value]
        case _:
            return value
