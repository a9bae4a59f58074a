"""A conversation: its models stay open, and each message is answered after what was said before."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from adascale.engine.errors import AdascaleError
from adascale.engine.kinds.messages import problem_of
from adascale.engine.search.conversation import turns_after
from adascale.engine.search.settings import Request
from adascale.engine.strategies import effort_named
from adascale.engine.types import Turn

from ..options.by_command import ChatOptions
from ..options.parts import session_for
from ..terminal.signals import STOPPING
from .asking import strategy_of
from .models import choose_seed, fetch_model, open_worker, settings_for
from .one import ended, follow_search

if TYPE_CHECKING:
    from adascale.engine.search.events import Event
    from adascale.engine.search.settings import Settings
    from adascale.engine.types import Problem
    from adascale.models.worker.client import Worker

    from ..render.renderer import Renderer
    from ..render.state import ViewState


class Conversation:
    """A conversation with models of this machine; use it as a context manager, which opens them.

    Args:
        options: The models, and how messages are searched and shown.
        renderer: Shows what happens.

    Attributes:
        turns: All that was said.
        searched: The last search; None before there is one.
    """

    def __init__(self, options: ChatOptions, renderer: Renderer) -> None:
        self._view = options.view
        self._search = options.search
        self._session = session_for(options.search.preset, options.session)
        self._renderer = renderer
        self._stack = ExitStack()
        self._worker: Worker
        self._asked = 0
        self.turns: tuple[Turn, ...] = ()
        self.searched: ViewState | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def model(self) -> str:
        """Reference of the model that answers."""
        return self._session.generator

    def use_model(self, reference: str) -> None:
        """Go on with another model; after an error with the one before.

        Raises:
            AdascaleError: it is not available, or cannot be opened.
        """
        before = self._session
        fetch_model(reference, self._view.terminal, offline=before.offline)
        self._session = replace(before, generator=reference)
        self._stack.close()
        try:
            self._open()
        except AdascaleError:
            self._session = before
            self._open()
            raise

    @property
    def effort(self) -> str:
        """How hard questions are searched."""
        return self._search.preset.effort

    @effort.setter
    def effort(self, name: str) -> None:
        self._search = replace(self._search, preset=replace(self._search.preset, effort=effort_named(name)))

    def answer(self, message: str) -> ViewState | None:
        """Answer a message, and show it: a text is printed as it is written.

        Returns:
            The search, as far as it came; None if it was interrupted before it began.

        Raises:
            AdascaleError: it cannot be answered; the conversation is as it was.
        """
        self._asked += 1
        problem = problem_of(str(self._asked), message, kind=self._search.kind, history=self.turns)
        strategy, seed = strategy_of(problem, self._search), choose_seed(self._search, self._view.terminal)
        settings = settings_for(problem, strategy, self._search, seed, self._worker)
        with closing(self._events(problem, settings)) as events:
            record = follow_search(
                (events, self._worker.interrupt),
                self._renderer,
                self._view,
                prints_reply=True,
                stopping="" if problem.is_chat else STOPPING,
            )
        self._renderer.status("")  # a worker that has died was started again
        if record is None or record.started.problem.id != problem.id:
            return None
        record = ended(record)
        self.turns = turns_after(record)
        if not problem.is_chat:
            self.searched = record
        return record

    def _events(self, problem: Problem, settings: Settings) -> Generator[Event]:
        """The events of a search. The worker's are read to their end in any case: its models stay open."""
        run = self._worker.serve([Request(problem, settings)])
        try:
            yield from (event for _, event in run)
        except GeneratorExit:
            for _ in run:
                pass
            raise

    def _open(self) -> None:
        session = self._session.for_one(self._search.make_strategy())
        opened = open_worker(session, self._view.terminal, self._renderer.status)
        self._worker = self._stack.enter_context(opened)
        self._renderer.status("")
