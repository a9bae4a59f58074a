"""A question in one line of Python; the models run in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from os import PathLike, fspath
from typing import get_args

from adascale.engine.answer import Answer
from adascale.engine.errors import UsageError
from adascale.engine.kinds.messages import problem_of
from adascale.engine.search.events import Event, SearchFailed
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import (
    Effort,
    ModeChoice,
    Preset,
    Strategy,
    effort_named,
)
from adascale.engine.types import Budget, MessageKind, Problem
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.options import SessionOptions
from adascale.models.session import OpenSession, Session


def ask(
    question: str,
    model: str | PathLike[str] | OpenSession = DEFAULT_GENERATOR,
    *,
    kind: MessageKind | None = None,
    choices: Sequence[str] = (),
    strategy: str | Strategy | None = None,
    effort: Effort | None = None,
    mode: ModeChoice = "auto",
    budget: Budget = Budget(),
    seed: int = 0,
) -> Answer:
    """Answer a question, as ``adascale ask`` does.

    A message without a checkable answer, such as a greeting, gets one plain reply without a probability,
    unless a strategy, an effort or a mode is given.

    Args:
        question: The question.
        model: Catalogue name, path or ``hf:user/repo[:quant]``, which is downloaded if it is missing, opened
            and closed again; or an ``OpenSession``, which stays open: the way to ask several questions.
        kind: Kind to take the question for, such as ``value`` or ``text``; None to recognise it.
        choices: Options to choose from, such as ``["red", "green"]``.
        strategy: A strategy with its parameters, such as ``Vote(samples=8)`` or one of your own; or a name.
            None is ``adaptive``.
        effort: How hard a strategy tries that is given by its name: ``low``, ``medium``, ``high``, ``max``.
            None is ``medium``.
        mode: How to reason: in ``prose``, in Python (``program``), or as the strategy and the model's
            calibration have it (``auto``).
        budget: Limits of the search.
        seed: The same seed gives the same solutions on the same machine.

    Raises:
        AdascaleError: The model cannot be had or loaded, or the question does not fit.
    """
    events = search(
        question,
        model,
        kind=kind,
        choices=choices,
        strategy=strategy,
        effort=effort,
        mode=mode,
        budget=budget,
        seed=seed,
    )
    return Answer.of(Record.of(events))


def search(
    question: str,
    model: str | PathLike[str] | OpenSession = DEFAULT_GENERATOR,
    *,
    kind: MessageKind | None = None,
    choices: Sequence[str] = (),
    strategy: str | Strategy | None = None,
    effort: Effort | None = None,
    mode: ModeChoice = "auto",
    budget: Budget = Budget(),
    seed: int = 0,
) -> Iterator[Event]:
    """The events of a search while it runs, as ``--trace`` writes them; arguments and errors of ``ask``.

    ``replay`` makes the tree of them. The search runs no further than it is asked for events; closing the
    iterator ends it.
    """
    if not question.strip():
        raise UsageError("the question is empty", slug="empty-question")
    _check_word("kind of question", kind or "value", get_args(MessageKind))
    _check_word("mode", mode, get_args(ModeChoice))
    options = list(choices)
    if isinstance(choices, str) or not all(isinstance(each, str) for each in options):
        raise UsageError("choices are a list of texts", repr(choices), hint='choices=["red", "green"]')
    is_chosen = strategy is not None or effort is not None or mode != "auto"
    problem = problem_of("1", question.strip(), kind=kind, choices=options, is_searched=is_chosen)
    if not isinstance(strategy, Strategy):
        strategy = Preset(effort_named(effort or "medium")).strategy(strategy or "adaptive", problem.kind)
    if "code" in strategy.modes:
        raise UsageError(
            f"{strategy.name} writes programs that pass tests", hint="adascale.code(question, tests=[...])"
        )
    return search_problem(problem, model, Settings(strategy, budget, seed), mode)


def _check_word(what: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise UsageError(f'no {what} called "{word}"', hint=f"use one of {', '.join(known)}")


def search_problem(
    problem: Problem, model: str | PathLike[str] | OpenSession, settings: Settings, mode: ModeChoice
) -> Iterator[Event]:
    """The events of a problem's search; ``settings`` without what the open models add to them."""
    if not isinstance(settings.budget, Budget):
        hint = "budget=adascale.Budget(max_tokens=600)"
        raise UsageError("that is no Budget", repr(settings.budget), hint=hint)
    if not isinstance(model, str | PathLike | OpenSession):
        hint = "with adascale.Session(adascale.SessionOptions(NAME)) as session"
        raise UsageError("that is no model and no open session", repr(model)[:100], hint=hint)
    return _events(problem, model, settings, mode)


def _events(
    problem: Problem, model: str | PathLike[str] | OpenSession, settings: Settings, mode: ModeChoice
) -> Iterator[Event]:
    with ExitStack() as opened:
        if not isinstance(model, OpenSession):
            options = SessionOptions(fspath(model)).for_one(settings.strategy, settings.width)
            model = opened.enter_context(Session(options))
        settings = settings.under(model.conditions(problem.kind))
        settings = settings.for_problem(problem, mode, model.modes)
        for _, event in model.driver(time.monotonic).run([problem], settings):
            if isinstance(event, SearchFailed):
                raise event.error()
            yield event
