"""Progress of a calibration's draws: the cost before it begins, then what is left of it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .console import clean, may_animate, question_bar, say
from .text import rough_duration

if TYPE_CHECKING:
    from adascale.models.calibration.collect import Progress

_LINE_EVERY_S = 10.0


class DrawProgress:
    """A bar on a terminal, a line every ten seconds elsewhere, nothing when quiet.

    Args:
        total: Questions in all.
        todo: Those that are not here yet.
        quiet: Say nothing but what failed.
    """

    def __init__(self, total: int, todo: int, *, quiet: bool) -> None:
        self.failed = 0
        self._total, self._todo, self._done = total, todo, 0
        self._tokens = 0
        self._quiet = quiet
        self._started = self._said = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def announce(self, tokens: int, rate: float) -> None:
        """State the cost: tokens to draw, and tokens per second as just measured."""
        if self._quiet:
            return
        here = f" ({self._total - self._todo} are here already)" if self._todo < self._total else ""
        say(
            f"adascale: drawing on {self._total} questions{here}: about {tokens:,} tokens, "
            f"{rough_duration(tokens / rate)} at the {rate:.0f} tokens/s that this machine decodes. "
            "Stop at any time; the same command goes on."
        )

    def __enter__(self) -> Self:
        self._started = self._said = time.monotonic()
        if may_animate() and not self._quiet:
            self._bar = question_bar()
            self._bar.start()
            self._task = self._bar.add_task(
                "Questions", total=self._total, completed=self._total - self._todo, rate=""
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, done: Progress) -> None:
        """A question is finished, or could not be searched."""
        self._done += 1
        self._tokens += done.tokens
        if done.error:
            self.failed += 1
            say(f"adascale: {clean(done.problem.id)} is left out: {clean(done.error)}")
        seconds = time.monotonic() - self._started
        speed = done.spent / max(seconds, 1e-9)
        # What unfinished questions have taken already is behind us; early on that is nearly everything.
        ahead = max(0.0, self._tokens / self._done * self._todo - done.spent)
        rate = f"{speed:.0f} tokens/s, about {rough_duration(ahead / max(speed, 1e-9))} left"
        if self._bar is not None:
            self._bar.update(self._task, advance=1, rate=rate)
        elif not self._quiet and time.monotonic() - self._said >= _LINE_EVERY_S:
            self._said = time.monotonic()
            here = self._total - self._todo + self._done
            say(f"adascale: {here}/{self._total} questions, {rate}")
