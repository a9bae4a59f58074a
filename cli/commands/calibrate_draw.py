"""Questions and rollouts of a calibration: what ``fit`` and ``check`` do before they differ."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from adascale.engine.calibration.fitting import Training
from adascale.engine.errors import DecodeAbortedError, UsageError
from adascale.engine.evaluation.judging import HiddenTests
from adascale.engine.types import Kind, Problem
from adascale.models.calibration.artefact import question_key
from adascale.models.calibration.collect import (
    CodePlan,
    DrawPlan,
    FinishedQuestion,
    draw_rollouts,
    expected_tokens,
    is_drawn,
    rollouts_path,
    score_rollouts,
)
from adascale.models.calibration.installed import built_in_questions, read_installed
from adascale.models.calibration.labelling import agrees, label_by_agreement
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.calibration.training import code_training_set, training_set
from adascale.models.questions import choose_questions, kind_of, read_known, read_unlabelled

from ..exit_codes import INTERRUPTED
from ..options.groups import CalibrationOptions, FitOptions
from ..report.plots import check_plot
from ..searching.models import stoppable
from ..terminal.console import clean, say
from ..terminal.progress import Progress
from ..terminal.signals import graceful
from ..terminal.text import rough_duration

if TYPE_CHECKING:  # they import huggingface_hub, which reads once whether it is offline
    from adascale.models.files.library import ModelFile
    from adascale.models.session import OpenSession


@dataclass(frozen=True, slots=True)
class TrainingDraws:
    """Rollouts as training data.

    Attributes:
        kind: Kind of the problems.
        training: The data.
        names: Names of the files of problems.
        questions: ``question_key`` of each problem.
    """

    kind: Kind
    training: Training
    names: tuple[str, ...]
    questions: tuple[str, ...]


BUILT_IN = "built-in questions"

FEWEST = 20
"""Questions below which a fit says nothing."""


def choose_problems(options: CalibrationOptions, fewest: int, built_in: bool = False) -> list[Problem]:
    """The questions asked for; what cannot work is said before anything is loaded.

    Args:
        options: Name the files.
        fewest: Questions that are needed.
        built_in: Take those that come with the package where no file is named.

    Raises:
        UsageError: no data, fewer than ``fewest`` questions, no scores, or a plot that could not be drawn.
    """
    if not options.data and not built_in:
        raise UsageError("no questions given", hint="--data questions.jsonl")
    if options.session.prm == "none":
        raise UsageError("--prm none leaves nothing to calibrate", hint="--prm probe")
    if options.plot is not None:
        check_plot(options.plot, [*options.data, *options.session.references()])
    if options.data:
        problems = choose_questions(read_known(options.data), options.questions, options.seed)
    else:
        problems = built_in_questions()[: options.questions]
    _check_enough(len(problems), fewest)
    if kind_of(problems) == "task":
        _check_code_options(options)
    return problems


def choose_unlabelled(options: FitOptions) -> list[Problem]:
    """The questions of ``--unlabelled``; what cannot work is said before anything is loaded.

    Raises:
        UsageError: ``--data`` too, too few questions, no two solutions each, or a PRM.
    """
    run = options.sized_run()
    if run.data:
        raise UsageError("questions have answers or they have none", hint="--data or --unlabelled")
    if run.session.prm != "probe":
        raise UsageError("a fit without answers reads the model's own states", hint="--prm probe")
    if run.samples + run.programs < 2:
        raise UsageError("one solution agrees with no other", hint="--samples 3")
    if run.plot is not None:
        check_plot(run.plot, [*options.unlabelled, *run.session.references()])
    problems = choose_questions(read_unlabelled(options.unlabelled), run.questions, run.seed)
    _check_enough(len(problems), FEWEST)
    return problems


def draw_unlabelled(session: OpenSession, problems: list[Problem], options: FitOptions) -> TrainingDraws:
    """Rollouts of questions without answers as training data, labelled by what their solutions agree on.

    Raises:
        UsageError: too few of them could be searched, or no two solutions agree.
        CalibrationError: no portable calibration is there, which knows what agreement means.
    """
    run = options.sized_run()
    plan, fingerprint = _plan(run, "question"), session.fingerprints["question"]
    portable = read_installed().portable()
    with closing(RolloutStore(rollouts_path(fingerprint, plan))) as store:
        store.put_models(session.conditions("question").models)
        _draw_missing(session, problems, store, plan, run)
        drawn = [
            [found for mode in plan.trajectories if (found := store.get(problem, mode)) is not None]
            for problem in problems
        ]
    drawn = [question for question in drawn if len(question) == len(plan.trajectories)]
    _check_enough(len(drawn), FEWEST)
    if not any(map(agrees, drawn)):
        raise UsageError(
            "no two solutions of any question agree: nothing can be learned from them",
            hint="questions with short answers that the model can reach, or --data with known answers",
            slug="no-agreement",
        )
    labelled = [label_by_agreement(question, portable) for question in drawn]
    prose, *programs = zip(*labelled, strict=True)
    training = training_set(prose, None, programs[0] if programs else ())
    questions = tuple(question_key(rollouts.problem.question) for rollouts in prose)
    return TrainingDraws("question", training, tuple(path.name for path in options.unlabelled), questions)


def _check_code_options(options: CalibrationOptions) -> None:
    """Refuse what code tasks are not calibrated with.

    Raises:
        UsageError: a PRM, which reads steps of prose, or no program at all.
    """
    if options.session.prm != "probe":
        raise UsageError("a PRM reads steps of prose, and these are code tasks", hint="--prm probe")
    if options.programs < 1:
        raise UsageError("code tasks are calibrated on programs", hint="--programs 4")


def _check_enough(count: int, fewest: int) -> None:
    """Refuse a fit or a check on too few questions.

    Raises:
        UsageError: there are fewer than ``fewest``.
    """
    if count >= fewest:
        return
    what = "question is" if count == 1 else "questions are"
    raise UsageError(
        f"{count} {what} too few" + (" to fit anything" if fewest > 1 else ""),
        f"at least {fewest} {'are' if fewest > 1 else 'is'} needed; one worth having takes hundreds",
        hint="another file beside it (--data or --unlabelled), or a larger --questions",
    )


def draw_training(
    session: OpenSession, problems: list[Problem], fewest: int, options: CalibrationOptions
) -> TrainingDraws:
    """Rollouts of all problems as training data; what is kept already is not drawn again.

    Raises:
        UsageError: fewer than ``fewest`` of them could be searched.
    """
    kind = kind_of(problems)
    plan = _plan(options, kind)
    fingerprint = session.fingerprints[kind]
    with closing(RolloutStore(rollouts_path(fingerprint, plan))) as store:
        store.put_models(session.conditions(kind).models)
        _draw_missing(session, problems, store, plan, options)
        if kind == "task":
            kept = [found for p in problems if (found := store.get(p, "code")) is not None]
            _check_enough(len(kept), fewest)
            training = code_training_set(kept)
        else:
            prm = None if session.prm is None else f"{fingerprint.prm_format}:{fingerprint.prm}"
            if prm is not None:
                _score_missing(session, problems, store, prm, options)
            kept, training = _of_questions(problems, store, prm, fewest)
    questions = tuple(question_key(rollouts.problem.question) for rollouts in kept)
    names = tuple(path.name for path in options.data) or (BUILT_IN,)
    return TrainingDraws(kind, training, names, questions)


def _of_questions(
    problems: list[Problem], store: RolloutStore, prm: str | None, fewest: int
) -> tuple[list[Rollouts], Training]:
    """Rollouts of the questions that have been drawn, and scored where a PRM is to, as training data."""
    kept, rewards, programs = [], [], []
    for problem in problems:
        rollouts, program = store.get(problem), store.get(problem, "program")
        reward = None if prm is None else store.rewards(problem, prm)
        if rollouts is None or (prm is not None and reward is None):
            continue
        kept.append(rollouts)
        rewards += [reward] if reward is not None else []
        programs += [program] if program is not None else []
    _check_enough(len(kept), fewest)
    return kept, training_set(kept, rewards or None, programs)


def _plan(options: CalibrationOptions, kind: Kind) -> DrawPlan | CodePlan:
    if kind == "task":
        return CodePlan(options.programs, options.seed)
    return DrawPlan(options.samples, options.rollouts, options.seed, options.programs)


def _draw_missing(
    session: OpenSession,
    problems: list[Problem],
    store: RolloutStore,
    plan: DrawPlan | CodePlan,
    options: CalibrationOptions,
) -> None:
    """Draw rollouts of the questions that have none in the store.

    Raises:
        Exit: with 130, where drawing was interrupted.
    """
    todo = [p for p in problems if not is_drawn(p, store, plan)]
    if not todo:
        return
    if not options.terminal.quiet:
        tokens = expected_tokens(store, problems, len(todo), plan)
        say(_announcement(len(problems), len(todo), tokens, session.decode_rate()))
    progress = Progress("questions", quiet=bool(options.terminal.quiet))
    with stoppable(session, session.driver(time.monotonic)) as driver, session.make_executor() as executor:
        finished = draw_rollouts(driver, problems, store, plan, HiddenTests(executor.run))
        failed = _follow("drawing", finished, len(todo), len(problems), progress)
    left = [p for p in todo if not is_drawn(p, store, plan)]
    if len(left) > failed:
        kept = len(problems) - len(left)
        say(f"adascale: {kept} of {len(problems)} questions are kept; the same command goes on")
        raise typer.Exit(INTERRUPTED)


def _score_missing(
    session: OpenSession, problems: list[Problem], store: RolloutStore, key: str, options: CalibrationOptions
) -> None:
    """Let the PRM score the stored rollouts that it has not scored yet.

    Raises:
        Exit: with 130, where scoring was interrupted.
    """
    todo = [p for p in problems if store.holds(p) and store.rewards(p, key) is None]
    if not todo:
        return
    if not options.terminal.quiet:
        say(
            f"adascale: scoring the solutions of {len(todo)} questions with {pair_name(session)}: about "
            f"{expected_tokens(store, todo, len(todo)):,} tokens. Stop at any time; the same command goes on."
        )
    progress = Progress("questions", quiet=bool(options.terminal.quiet))
    with graceful(session.abort.set):
        try:
            finished = score_rollouts(session.reward_model, session.model, todo, store, key)
            _follow("scoring", finished, len(todo), len(problems), progress)
        except DecodeAbortedError as error:
            left = sum(store.rewards(p, key) is None for p in todo)
            say(f"adascale: {len(todo) - left} of {len(todo)} questions are scored; the same command goes on")
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


def pair_name(session: OpenSession) -> str:
    """Generator and PRM as a user calls them."""
    prm = session.files.prm_format if session.prm is None else _model_name(session.prm)
    return f"{_model_name(session.generator)}+{prm}"


def _model_name(file: ModelFile) -> str:
    return file.path.stem if file.source == "path" else file.name
