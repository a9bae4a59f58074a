"""The questions of a fit or a check: what cannot work is said before anything is loaded."""

from __future__ import annotations

from adascale.engine.errors import UsageError
from adascale.engine.types import Problem
from adascale.models.calibration.installed import built_in_questions
from adascale.models.calibration.session_rollouts import FEWEST, check_enough
from adascale.models.question_sets import choose_questions, only_kind, read_known, read_unlabelled

from ..options.groups import CalibrationOptions, FitOptions
from ..report.plots import check_plot


def choose_problems(options: CalibrationOptions, fewest: int, built_in: bool = False) -> list[Problem]:
    """The questions asked for.

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
    check_enough(len(problems), fewest)
    if only_kind(problems) == "code":
        _check_code_options(options)
    return problems


def choose_unlabelled(options: FitOptions) -> list[Problem]:
    """The questions of ``--unlabelled``.

    Raises:
        UsageError: ``--data`` too, too few questions, no two solutions each, or a PRM.
    """
    run = options.run
    if run.data:
        raise UsageError("questions have answers or they have none", hint="--data or --unlabelled")
    if run.session.prm != "probe":
        raise UsageError("a fit without answers reads the model's own states", hint="--prm probe")
    if run.samples + run.programs < 2:
        raise UsageError("one solution agrees with no other", hint="--samples 3")
    if run.plot is not None:
        check_plot(run.plot, [*options.unlabelled, *run.session.references()])
    problems = choose_questions(read_unlabelled(options.unlabelled), run.questions, run.seed)
    check_enough(len(problems), FEWEST)
    return problems


def _check_code_options(options: CalibrationOptions) -> None:
    """Refuse what code tasks are not calibrated with.

    Raises:
        UsageError: a PRM, which reads steps of prose, or no program at all.
    """
    if options.session.prm != "probe":
        raise UsageError("a PRM reads steps of prose, and these are code tasks", hint="--prm probe")
    if options.programs < 1:
        raise UsageError("code tasks are calibrated on programs", hint="--programs 4")
