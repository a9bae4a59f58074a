"""Progress of an evaluation: which strategy draws, how fast, how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .console import may_animate, question_bar, say
from .text import rough_duration

if TYPE_CHECKING:
    from adascale.engine.evaluation.evaluate import Outcome

_LINE_EVERY_S = 10.0


class EvalProgress:
    """A bar on a terminal, a line every ten seconds elsewhere, nothing when quiet.

    Args:
        questions: Of each round, which is one strategy in one repeat.
        rounds: In all.
        drawn: Tokens that the generator has drawn so far.
        quiet: Say nothing.
    """

    def __init__(self, questions: int, rounds: int, drawn: Callable[[], int], *, quiet: bool) -> None:
        self._questions, self._rounds, self._drawn, self._quiet = questions, rounds, drawn, quiet
        self._done = self._round = 0
        self._began = self._said = time.monotonic()
        self._before = 0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        self._began = self._said = time.monotonic()
        if may_animate() and not self._quiet:
            self._bar = question_bar()
            self._bar.start()
            self._task = self._bar.add_task("", total=self._questions, rate="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, outcome: Outcome) -> None:
        """A question is done."""
        self._done += 1
        name = f"{outcome.entry} ({self._round + 1}/{self._rounds})"
        rate = self._rate()
        if self._bar is not None:
            self._bar.update(self._task, description=name, completed=self._done, rate=rate)
        elif not self._quiet and time.monotonic() - self._said >= _LINE_EVERY_S:
            self._said = time.monotonic()
            say(f"adascale: {name}: {self._done}/{self._questions} questions, {rate}")
        if self._done == self._questions:
            self._done, self._round = 0, self._round + 1
            self._began, self._before = time.monotonic(), self._drawn()

    def _rate(self) -> str:
        """What is drawn, and the time that is left of this round: what later ones lack is not known yet."""
        seconds = time.monotonic() - self._began
        tokens = self._drawn() - self._before
        left = seconds / self._done * (self._questions - self._done)
        return f"{tokens / max(seconds, 1e-9):.0f} tokens/s, {rough_duration(left)} left of this strategy"
