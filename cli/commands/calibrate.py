"""Fit and check what turns a model's scores into probabilities."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from adascale.engine.codec import to_plain
from adascale.engine.errors import CalibrationError, UsageError, command
from adascale.engine.kinds import KINDS
from adascale.engine.types import KindName, Notice, Problem
from adascale.models.options import SessionOptions
from adascale.models.question_sets import only_kind

from ..disk.files import check_output, is_calibration, writing
from ..options.by_command import CalibrationOptions, FitOptions
from ..options.flatten import typed_flags, with_options
from ..options.help import LayeredCommand
from ..report.calibrate_report import report_text
from ..searching.models import open_session
from ..terminal.console import as_typed, say, short_path, show_warning, write_json, write_payload
from .calibrations import list_, show

if TYPE_CHECKING:
    from adascale.engine.answers.weighing import OptionWeights
    from adascale.engine.calibration.figures import StageReport
    from adascale.engine.fitting.metrics import Predictions
    from adascale.models.calibration.artefact import Artefact
    from adascale.models.calibration.collect import DrawPlan
    from adascale.models.session import OpenSession

SCHEMA = "adascale.calibrate/1"

_NO_SKILL = Notice(
    "no-skill",
    "these estimates are no better than the base rate",
    hint="fit on more questions, or on some that the model answers more often",
)

_BRINGS = (
    "adascale: a fit adds probabilities of unfinished solutions, and 2 to 5 correct answers per 100 "
    "questions for the same tokens, on questions like those of the fit (measured with two models)"
)
"""Both coders on the frozen questions, each with its fit beside the rules that need none."""

app = typer.Typer(name="calibrate", no_args_is_help=True, help=__doc__)


@app.command(cls=LayeredCommand)
@with_options(FitOptions)
def fit(*, context: typer.Context, options: FitOptions) -> None:
    """Fit a calibration for your own model on questions with known answers.

    adascale calibrate fit -m my-model.gguf
    adascale calibrate fit -m my-model.gguf --quick
    adascale calibrate fit -m my-model.gguf -d gsm8k.jsonl -d math.jsonl --questions 600
    adascale calibrate fit -m my-model.gguf -d code-tasks.jsonl --programs 8

    Without --data it takes the 300 questions that come with adascale, with --quick 60 of them. Records with
    tests, and with hidden tests that judge the programs, give a calibration for code. It can be stopped at
    any time: finished questions are kept, and the same command continues.
    """
    from adascale.models.calibration.artefact import describe
    from adascale.models.calibration.session_rollouts import FEWEST

    from ..searching.calibration import choose_problems

    options = options.sized()
    run, output = options.run, options.output
    problems = choose_problems(run, FEWEST, built_in=True)
    _check_flags(context, only_kind(problems))
    if output is not None:
        read: list[str | Path] = [*run.data, *run.session.references()]
        check_output(output, "-o mine.calibration.safetensors", is_ours=is_calibration, reads=read)
    with open_session(run.session, run.terminal) as session:
        artefact = _fit(session, problems, options)
    path = _save(artefact, output, quiet=run.terminal.quiet > 0)
    if (artefact.card.finished.skill or 0) <= 0:
        show_warning(_NO_SKILL)
    _write_report(artefact.card.held_out, run, {"file": str(path), "calibration": describe(artefact)})


def _save(artefact: Artefact, output: Path | None, *, quiet: bool) -> Path:
    """Write a calibration to a file, or to where ``ask`` finds it; the one before it is kept."""
    from adascale.models.calibration.artefact import save_artefact
    from adascale.models.calibration.installed import own_path

    path = output or own_path(artefact.card)
    before = path.with_name(f"{path.name}.before") if path.exists() else None
    with writing(path):
        if before is not None:
            shutil.copyfile(path, before)
        save_artefact(artefact, path)
    if not quiet:
        say(f"adascale: wrote {short_path(path)}")
        if before is not None:
            say(f"adascale: the calibration before it is kept as {short_path(before)}")
    return path


@app.command(cls=LayeredCommand)
@with_options(CalibrationOptions)
def check(*, context: typer.Context, options: CalibrationOptions) -> None:
    """Measure a calibration on questions that it was not fitted on.

    adascale calibrate check -d test.jsonl
    adascale calibrate check -d test.jsonl --calibration mine.calibration.safetensors
    """
    from adascale.models.calibration.artefact import describe
    from adascale.models.calibration.installed import overlap

    from ..searching.calibration import choose_problems

    problems = choose_problems(options, 1)
    kind = only_kind(problems)
    _check_flags(context, kind)
    with open_session(options.session, options.terminal) as session:
        artefact = session.prompts.calibrations.get(kind)
        if artefact is None and options.session.calibration != "none":
            raise _no_calibration(session, kind)
        warnings = list(session.conditions(kind).warnings)
        if artefact is not None:
            warnings += overlap(artefact.card, problems)
        for notice in warnings:
            show_warning(notice)
        stages = _measure(session, problems, artefact, options)
    described = None if artefact is None else describe(artefact)
    texts = [as_typed(notice.message) for notice in warnings]
    _write_report(
        stages, options, {"calibration": described, "data": _names(options.data), "warnings": texts}
    )


app.command("list")(list_)
app.command()(show)


def _check_flags(context: typer.Context, kind: KindName) -> None:
    """Refuse a kind of question that nothing is fitted for, and flags that have no effect on this kind.

    Raises:
        UsageError: it is such a kind, or one was typed.
    """
    if not KINDS[kind].is_fitted:
        raise UsageError(
            f"nothing is fitted for questions of the kind {kind}: votes judge them",
            hint="questions whose answer is a number, a formula or one of some options",
        )
    if KINDS[kind].has_options:
        unused = {"--programs", "--rollouts", "--method"}
    elif kind == "code":  # only programs are drawn
        unused = {"--samples", "--rollouts"}
    else:
        return
    if found := sorted(typed_flags(context) & unused):
        raise UsageError(
            f"{found[0]} has no effect on questions of the kind {kind}", hint=f"leave out {found[0]}"
        )


def _fit(session: OpenSession, problems: list[Problem], options: FitOptions) -> Artefact:
    """Draw what is missing, and fit on it."""
    from adascale.models.calibration.session_rollouts import SessionRollouts

    from ..searching.calibration import draw_missing, score_missing

    run, kind = options.run, only_kind(problems)
    if KINDS[kind].has_options:
        return _fit_options(session, problems, run)
    with SessionRollouts.open(session, problems, _plan(run, kind)) as rollouts:
        if kind == "value" and rollouts.undrawn() and not run.terminal.quiet:
            say(_BRINGS)
        draw_missing(rollouts, run.terminal)
        score_missing(rollouts, run.terminal)
        return rollouts.fit(rollouts.training(), options.method, _names(run.data))


def _fit_options(session: OpenSession, problems: list[Problem], run: CalibrationOptions) -> Artefact:
    """Draw what is missing of questions with options, and fit on it."""
    from adascale.models.calibration.option_draws import OptionDraws, fit_options
    from adascale.models.calibration.session_rollouts import FEWEST

    from ..searching.calibration import draw_options

    with OptionDraws.open(session, problems, run.samples, run.seed) as draws:
        return fit_options(draws, draw_options(draws, run.terminal, FEWEST), _names(run.data))


def _measure(
    session: OpenSession, problems: list[Problem], artefact: Artefact | None, run: CalibrationOptions
) -> Mapping[str, StageReport]:
    """A report on a calibration, or on raw scores without one, by what is drawn of these questions."""
    from adascale.engine.calibration.options import OptionsCalibration
    from adascale.engine.fitting.report import measure, report
    from adascale.models.calibration.session_rollouts import SessionRollouts

    from ..searching.calibration import draw_missing, score_missing

    fitted = None if artefact is None else artefact.calibration
    if isinstance(fitted, OptionsCalibration):
        return report(_measure_options(session, problems, fitted.weights, run))
    if fitted is not None and fitted.modes == ("prose",):
        run = replace(run, programs=0)  # it says nothing of programs
    with SessionRollouts.open(session, problems, _plan(run, only_kind(problems))) as rollouts:
        draw_missing(rollouts, run.terminal)
        score_missing(rollouts, run.terminal)
        training = rollouts.training(fewest=1).training
    # Raw scores alone are not compared with themselves.
    return report(measure(fitted, training, run.seed), None if fitted is None else training)


def _measure_options(
    session: OpenSession, problems: list[Problem], weights: OptionWeights, run: CalibrationOptions
) -> dict[str, Predictions]:
    """Estimates for questions with options: of the look alone, and with all solutions."""
    from adascale.engine.fitting.options import predictions
    from adascale.models.calibration.option_draws import OptionDraws

    from ..searching.calibration import draw_options

    with OptionDraws.open(session, problems, run.samples, run.seed) as draws:
        drawn = draw_options(draws, run.terminal, 1)
    examples = [each.example for each in drawn if each.example is not None]
    return {
        "look": predictions(weights, examples, votes=False),
        "answer": predictions(weights, examples, votes=True),
    }


def _plan(run: CalibrationOptions, kind: KindName) -> DrawPlan:
    from adascale.models.calibration.collect import DrawPlan

    samples, rollouts = (0, 0) if kind == "code" else (run.samples, run.rollouts)
    return DrawPlan(samples, rollouts, run.seed, run.programs)


def _no_calibration(session: OpenSession, kind: KindName) -> CalibrationError:
    """The error of a check without a calibration, or with one for the other kind of problem."""
    from adascale.models.calibration.installed import wrong_kind

    named = session.files.calibration
    if named is not None:
        notice = wrong_kind(named.card, kind)
        return CalibrationError(notice.message, hint=notice.hint, slug=notice.code)
    file = "tasks.jsonl" if kind == "code" else "questions.jsonl"
    return CalibrationError(
        f"there is no calibration for {session.files.pair_name}",
        slug="no-calibration",
        hint=f"{_with_models('fit', session.options)} --data {file}",
    )


def _with_models(name: str, options: SessionOptions) -> str:
    """A command of ``calibrate`` for the same models."""
    usual = SessionOptions()
    generator = ["-m", options.generator] if options.generator != usual.generator else []
    prm = ["--prm", options.prm] if options.prm != usual.prm else []
    return command("calibrate", name, *generator, *prm)


def _names(files: Sequence[Path]) -> list[str]:
    return [path.name for path in files] or ["built-in questions"]


def _write_report(
    stages: Mapping[str, StageReport],
    run: CalibrationOptions,
    more: Mapping[str, Any],
) -> None:
    """Print a report as text or JSON."""
    if run.json_output:
        write_json({"schema": SCHEMA, **more, "stages": to_plain(stages)})
    else:
        write_payload(report_text(stages))
