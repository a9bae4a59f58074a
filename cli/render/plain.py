"""Plain lines for pipes, logs and dumb terminals: no carriage return, no escape byte, whatever is set."""

from __future__ import annotations

import os

from adascale.engine.search.events import Event, SearchFinished, SearchStarted, Warned

from ..terminal.console import say, show_warning
from ..terminal.progress import Cadence
from ..terminal.text import duration, one_line, plural
from ..terminal.theme import DOT
from .frame import final_frame
from .state import ViewState
from .summary import progress_facts

_TREE_WIDTH = 100
_NARROWEST = 20


class FinalRenderer:
    """Shows no progress; at the end the tree, if asked for."""

    def __init__(self, *, show_tree: bool = False) -> None:
        self._show_tree = show_tree
        self._state: ViewState | None = None

    def on(self, event: Event) -> None:
        """Take the next event."""
        shown = self._state.notices if self._state is not None else []
        if isinstance(event, Warned) and event.notice not in shown:
            show_warning(event.notice)
        self._state = ViewState.after(self._state, event)
        if not self._state.tree.problem.is_chat:  # stdout shows its reply
            self._progress(self._state, event)
        if isinstance(event, SearchFinished) and self._show_tree and not self._state.tree.problem.is_chat:
            for line in final_frame(self._state, plain_width()):
                say(line.plain.rstrip())

    @property
    def record(self) -> ViewState | None:
        """The search, from the events so far."""
        return self._state

    def status(self, text: str) -> None:
        """Print nothing."""

    def _progress(self, state: ViewState, event: Event) -> None:
        """Progress of a running search; a subclass prints it."""


class PlainRenderer(FinalRenderer):
    """One line at most every ten seconds, and when another answer leads."""

    def __init__(self, *, show_tree: bool = False) -> None:
        super().__init__(show_tree=show_tree)
        self._cadence = Cadence(0.0)
        self._said_answer: str | None = None

    def status(self, text: str) -> None:
        """Say it as a line."""
        if text:
            self._say(one_line(text))

    def _progress(self, state: ViewState, event: Event) -> None:
        """Print a line if another answer leads, or ten seconds have passed."""
        if isinstance(event, SearchStarted):
            self._cadence, self._said_answer = Cadence(state.t), None
        elif isinstance(event, SearchFinished):
            return
        elif state.answer != self._said_answer or self._cadence.is_due(state.t):
            self._cadence, self._said_answer = Cadence(state.t), state.answer
            tokens = [plural(state.tokens, "token")] if state.tokens else []
            facts = [*progress_facts(state), *tokens, duration(state.t)]
            self._say(DOT.join(facts))

    @staticmethod
    def _say(text: str) -> None:
        say(f"adascale: {text}")


def plain_width() -> int:
    """``COLUMNS`` if it is a usable width, or 100."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) >= _NARROWEST else _TREE_WIDTH
