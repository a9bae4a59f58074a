"""Drawing and scoring the rollouts of ``calibrate``: announced, followed on stderr, resumed when stopped."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from adascale.engine.errors import DecodeAbortedError

from ..exit_codes import INTERRUPTED
from ..options.groups import TerminalOptions
from ..terminal.console import clean, say
from ..terminal.progress import Progress
from ..terminal.signals import graceful
from ..terminal.text import rough_duration
from .models import stoppable

if TYPE_CHECKING:
    from adascale.models.calibration.collect import FinishedQuestion
    from adascale.models.calibration.session_rollouts import SessionRollouts


def draw_missing(rollouts: SessionRollouts, terminal: TerminalOptions) -> None:
    """Draw rollouts of the questions that have none yet.

    Raises:
        Exit: with 130, where drawing was interrupted.
    """
    session, total, todo = rollouts.session, len(rollouts.problems), len(rollouts.undrawn())
    if not todo:
        return
    if not terminal.quiet:
        say(_announcement(total, todo, rollouts.tokens_to_draw(), session.decode_rate()))
    progress = Progress("questions", quiet=bool(terminal.quiet))
    with stoppable(session, session.driver(time.monotonic)) as driver:
        failed = _follow("drawing", rollouts.draw(driver), todo, total, progress)
    left = len(rollouts.undrawn())
    if left > failed:
        say(f"adascale: {total - left} of {total} questions are kept; the same command goes on")
        raise typer.Exit(INTERRUPTED)


def score_missing(rollouts: SessionRollouts, terminal: TerminalOptions) -> None:
    """Let the PRM score the rollouts that it has not scored yet; nothing without one.

    Raises:
        Exit: with 130, where scoring was interrupted.
    """
    session, todo = rollouts.session, len(rollouts.unscored())
    if not todo:
        return
    if not terminal.quiet:
        say(
            f"adascale: scoring the solutions of {todo} questions with {session.files.pair_name}: about "
            f"{rollouts.tokens_to_score():,} tokens. Stop at any time; the same command goes on."
        )
    progress = Progress("questions", quiet=bool(terminal.quiet))
    with graceful(session.abort.set):
        try:
            _follow("scoring", rollouts.score(), todo, len(rollouts.problems), progress)
        except DecodeAbortedError as error:
            scored = todo - len(rollouts.unscored())
            say(f"adascale: {scored} of {todo} questions are scored; the same command goes on")
            raise typer.Exit(INTERRUPTED) from error


def _announcement(total: int, todo: int, tokens: int, rate: float) -> str:
    """What drawing will take, at ``rate`` tokens per second as just measured."""
    here = f" ({total - todo} are here already)" if todo < total else ""
    return (
        f"adascale: drawing on {total} questions{here}: about {tokens:,} tokens, "
        f"{rough_duration(tokens / rate)} at the {rate:.0f} tokens/s that this machine decodes. "
        "Stop at any time; the same command goes on."
    )


def _follow(
    task: str, finished: Iterable[FinishedQuestion], todo: int, total: int, progress: Progress
) -> int:
    """Go through ``todo`` of ``total`` questions and show speed and time left; returns how many failed."""
    failed = tokens = 0
    started, here = time.monotonic(), total - todo
    with progress:
        progress.show(task, here, total)
        for count, done in enumerate(finished, start=1):
            tokens += done.tokens
            if done.error:
                failed += 1
                say(f"adascale: {clean(done.problem.id)} is left out: {clean(done.error)}")
            speed = done.spent / max(time.monotonic() - started, 1e-9)
            # Tokens of unfinished questions are spent already; early on that is nearly all of them.
            ahead = max(0.0, tokens / count * todo - done.spent)
            left = rough_duration(ahead / max(speed, 1e-9))
            progress.show(task, here + count, total, f"{speed:.0f} tokens/s, about {left} left")
    return failed
