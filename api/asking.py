"""A question in one line of Python; the models run in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from os import PathLike, fspath
from typing import TYPE_CHECKING, TypedDict, Unpack

from adascale.engine.answer import Answer
from adascale.engine.errors import UsageError
from adascale.engine.request import SearchRequest
from adascale.engine.search.events import Event, SearchFailed
from adascale.engine.search.record import Record
from adascale.engine.strategies import Effort, ModeChoice, Strategy
from adascale.engine.types import Budget, MessageKind, Problem
from adascale.models import open_session
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.options import SessionOptions

if TYPE_CHECKING:
    from adascale.models import AnySession

    Model = str | PathLike[str] | AnySession


class How(TypedDict, total=False):
    """Arguments of ``ask`` and ``search``: fields of a ``SearchRequest``."""

    kind: MessageKind | None
    choices: Sequence[str]
    strategy: str | Strategy
    effort: Effort
    mode: ModeChoice
    budget: Budget
    seed: int


def ask(question: str | SearchRequest, model: Model = DEFAULT_GENERATOR, **how: Unpack[How]) -> Answer:
    """Answer a question, as ``adascale ask`` does.

    A message without a checkable answer, such as a greeting, gets one plain reply without a probability,
    unless a strategy, an effort or a mode is given.

    Args:
        question: The question, or a whole request.
        model: Catalogue name, path or ``hf:user/repo[:quant]``, which is downloaded if it is missing, opened
            and closed again; address of a server, ``http://HOST:PORT#NAME``; or what ``open_session`` gives,
            which stays open: the way to ask several questions.
        how: How to search, by these names:
            ``kind``: Kind to take the question for, such as ``value`` or ``text``; recognised by default.
            ``choices``: Options to choose from, such as ``["red", "green"]``.
            ``strategy``: A strategy with its parameters, such as ``Vote(samples=8)`` or one of your own; or
            the name of one, by default ``adaptive``.
            ``effort``: How hard a strategy tries that is given by its name: ``low``, ``medium``, ``high``,
            ``max``.
            ``mode``: How to reason: in ``prose``, in Python (``program``), or as the strategy and the model's
            calibration have it (``auto``).
            ``budget``: Limits of the search.
            ``seed``: The same seed gives the same solutions on the same machine; 0 by default.

    Raises:
        AdascaleError: The model cannot be had or loaded, or the question does not fit.

    Example:
        >>> print(adascale.ask("What is 17 * 23?").answer)
    """
    return Answer.of(Record.of(search(question, model, **how)))


def search(
    question: str | SearchRequest, model: Model = DEFAULT_GENERATOR, **how: Unpack[How]
) -> Iterator[Event]:
    """The events of a search while it runs, as a kept run has them; arguments and errors of ``ask``.

    ``replay`` makes the tree of them. The search runs no further than it is asked for events; closing the
    iterator ends it.

    Example:
        >>> for event in adascale.search("What is 17 * 23?"):
        ...     print(event)
    """
    if isinstance(question, SearchRequest):
        request = question
    else:
        says_how = "strategy" in how or "effort" in how or how.get("mode", "auto") != "auto"
        request = SearchRequest(question, is_searched=says_how, **how)
    problem = request.problem()
    strategy = request.strategy_for(problem.kind)
    if "code" in strategy.modes:
        raise UsageError(
            f"{strategy.name} writes programs that pass tests", hint="adascale.code(question, tests=[...])"
        )
    return search_problem(problem, model, request)


def search_problem(problem: Problem, model: Model, request: SearchRequest) -> Iterator[Event]:
    """The events of a problem's search, in an open session or with models that are opened for it."""
    if not isinstance(model, str | PathLike) and not getattr(model, "is_open", False):
        hint = "with adascale.open_session(adascale.SessionOptions(NAME)) as session"
        raise UsageError("that is no model and no open session", repr(model)[:100], hint=hint)
    return _events(problem, model, request)


def _events(problem: Problem, model: Model, request: SearchRequest) -> Iterator[Event]:
    with ExitStack() as opened:
        if isinstance(model, str | PathLike):
            strategy = request.strategy_for(problem.kind)
            options = SessionOptions(fspath(model)).for_one(strategy, request)
            model = open_session(options)
            opened.enter_context(model)
        settings = request.settings(problem, model.conditions(problem.kind), model.modes)
        for _, event in model.driver(time.monotonic).run([problem], settings):
            if isinstance(event, SearchFailed):
                raise event.error()
            yield event
