"""A question in one line of Python; the models run in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from adascale.engine.errors import UsageError
from adascale.engine.search.events import Event, SearchFailed, SearchFinished
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Effort, ModeChoice, Preset, Strategy, effort_named, with_mode
from adascale.engine.types import Budget, Problem, SearchResult
from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.options import SessionOptions
from adascale.models.session import OpenSession, Session


def ask(
    question: str,
    model: str | OpenSession = DEFAULT_GENERATOR,
    *,
    strategy: str | Strategy = "adaptive",
    effort: Effort = "medium",
    mode: ModeChoice = "auto",
    budget: Budget = Budget(),
    seed: int = 0,
) -> SearchResult:
    """Answer a question, as ``adascale ask`` does.

    Args:
        question: What to ask.
        model: Catalogue name, path or ``hf:user/repo[:quant]``, which is fetched if need be, opened and
            closed again; or an ``OpenSession``, which stays open: the way to ask several questions.
        strategy: A strategy with its parameters, such as ``Vote(samples=8)`` or one of your own; or a name.
        effort: How hard a strategy tries that is given by its name: ``low``, ``medium``, ``high``, ``max``.
        mode: How it reasons: in ``prose``, in Python that it writes (``program``), or as the strategy and the
            model's calibration have it (``auto``).
        budget: Limits of the search.
        seed: The same seed gives the same draws on the same machine.

    Raises:
        AdascaleError: The model cannot be had or loaded, or the question does not fit.
    """
    *_, last = search(question, model, strategy=strategy, effort=effort, mode=mode, budget=budget, seed=seed)
    assert isinstance(last, SearchFinished)
    return last.result


def search(
    question: str,
    model: str | OpenSession = DEFAULT_GENERATOR,
    *,
    strategy: str | Strategy = "adaptive",
    effort: Effort = "medium",
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
    if isinstance(strategy, str):
        strategy = Preset(effort_named(effort)).strategy(strategy)
    if "code" in strategy.modes:
        raise UsageError(
            f"{strategy.name} draws programs that pass tests", hint="adascale.code(question, tests=[...])"
        )
    if not isinstance(budget, Budget):
        raise UsageError("that is no Budget", repr(budget), hint="budget=adascale.Budget(max_tokens=600)")
    settings = Settings(with_mode(strategy, mode), budget, seed)
    return search_problem(Problem("1", question.strip()), model, settings, mode)


def search_problem(
    problem: Problem, model: str | OpenSession, settings: Settings, mode: ModeChoice
) -> Iterator[Event]:
    """The events of a problem's search; ``settings`` without what the open models add to them."""
    with ExitStack() as opened:
        if isinstance(model, str):
            options = SessionOptions(model).for_one(settings.strategy)
            model = opened.enter_context(Session(options))
        settings = settings.under(model.conditions(problem.kind)).in_mode(mode, model.modes)
        for _, event in model.driver(time.monotonic).run([problem], settings):
            if isinstance(event, SearchFailed):
                raise event.error()
            yield event
