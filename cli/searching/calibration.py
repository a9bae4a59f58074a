"""Questions and rollouts of ``calibrate``: chosen, announced, followed on stderr, resumed when stopped."""

from __future__ import annotations

import time
from collections.abc import Iterable

import typer

from adascale.engine.errors import DecodeAbortedError, UsageError
from adascale.engine.types import Problem
from adascale.models.calibration.collect import FinishedQuestion
from adascale.models.calibration.installed import built_in_questions
from adascale.models.calibration.session_rollouts import SessionRollouts, check_enough
from adascale.models.question_sets import choose_questions, only_kind, read_known

from ..exit_codes import INTERRUPTED
from ..options.by_command import CalibrationOptions
from ..options.parts import TerminalOptions
from ..terminal.console import clean, say
from ..terminal.progress import Progress
from ..terminal.signals import graceful
from ..terminal.text import duration
from .models import stoppable


def choose_problems(options: CalibrationOptions, fewest: int, built_in: bool = False) -> list[Problem]:
    """The questions of ``--data``; refuses what cannot work before anything is loaded.

    Args:
        options: Names the files.
        fewest: Number of questions that are needed.
        built_in: Take those that come with the package if no file is named.

    Raises:
        UsageError: no data, fewer than ``fewest`` questions, no scores, or another kind of question.
    """
    if not options.data and not built_in:
        raise UsageError("no questions given", hint="--data questions.jsonl")
    if options.session.prm == "none":
        raise UsageError("--prm none leaves nothing to calibrate", hint="--prm probe")
    if options.data:
        problems = choose_questions(read_known(options.data), options.questions, options.seed)
    else:
        problems = built_in_questions()[: options.questions]
    check_enough(len(problems), fewest)
    if (kind := only_kind(problems)) != "value":
        raise UsageError(
            f"nothing is fitted for questions of the kind {kind}",
            hint="questions whose answer is a number or a formula",
        )
    return problems


def draw_missing(rollouts: SessionRollouts, terminal: TerminalOptions) -> None:
    """Draw rollouts of the questions that have none yet.

    Raises:
        Exit: with 130, after an interrupt.
    """
    session, total, todo = rollouts.session, len(rollouts.problems), len(rollouts.undrawn())
    if not todo:
        return
    if not terminal.quiet:
        here = f" ({total - todo} are here already)" if todo < total else ""
        tokens, rate = rollouts.tokens_to_draw(), session.decode_rate()
        say(
            f"adascale: generating solutions of {total} questions{here}, {rollouts.solutions} each: "
            f"about {tokens:,} tokens, {duration(tokens / rate)} at the {rate:.0f} tokens/s that "
            "this machine decodes. Stop at any time; the same command continues."
        )
    progress = Progress("questions", quiet=bool(terminal.quiet))
    with stoppable(session, session.driver(time.monotonic)) as driver:
        failed = _follow("generating", rollouts.draw(driver), todo, total, progress)
    left = len(rollouts.undrawn())
    if left > failed:
        say(f"adascale: {total - left} of {total} questions are kept; the same command continues")
        raise typer.Exit(INTERRUPTED)


def score_missing(rollouts: SessionRollouts, terminal: TerminalOptions) -> None:
    """Let the PRM score the rollouts that it has not scored yet; does nothing without a PRM.

    Raises:
        Exit: with 130, after an interrupt.
    """
    session, todo = rollouts.session, len(rollouts.unscored())
    if not todo:
        return
    if not terminal.quiet:
        say(
            f"adascale: scoring the solutions of {todo} questions with {session.files.pair_name}. "
            "Stop at any time; the same command continues."
        )
    progress = Progress("questions", quiet=bool(terminal.quiet))
    with graceful(session.abort.set):
        try:
            _follow("scoring", rollouts.score(), todo, len(rollouts.problems), progress)
        except DecodeAbortedError as error:
            scored = todo - len(rollouts.unscored())
            say(f"adascale: {scored} of {todo} questions are scored; the same command continues")
            raise typer.Exit(INTERRUPTED) from error


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
            left = duration(ahead / max(speed, 1e-9))
            progress.show(task, here + count, total, f"{speed:.0f} tokens/s, about {left} left")
    return failed
