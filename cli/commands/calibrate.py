"""Fit and check what turns a model's scores into probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from adascale.engine.codec import to_plain
from adascale.engine.errors import CalibrationError, command
from adascale.engine.types import Notice, Problem
from adascale.models.options import SessionOptions

from ..disk.files import check_output, is_calibration, writing
from ..options.by_command import CalibrationOptions, FitOptions
from ..options.flatten import Command, with_options
from ..report.calibrate_report import report_text
from ..searching.models import open_session
from ..terminal.console import as_typed, say, short_path, show_warning, write_json, write_payload
from .calibrations import list_, show

if TYPE_CHECKING:
    from adascale.engine.calibration.figures import StageReport
    from adascale.models.calibration.artefact import Artefact
    from adascale.models.calibration.collect import DrawPlan
    from adascale.models.session import OpenSession

SCHEMA = "adascale.calibrate/1"

_NO_SKILL = Notice(
    "no-skill",
    "these estimates are no better than the base rate",
    hint="fit on more questions, or on some that the model answers more often",
)

app = typer.Typer(name="calibrate", no_args_is_help=True, help=__doc__)


@app.command(cls=Command)
@with_options(FitOptions)
def fit(*, options: FitOptions) -> None:
    """Fit a calibration for your own model on questions with known answers.

    adascale calibrate fit -m my-model.gguf
    adascale calibrate fit -m my-model.gguf --questions 60
    adascale calibrate fit -m my-model.gguf -d gsm8k.jsonl -d math.jsonl --questions 600

    Without --data it takes the 300 questions that come with adascale. It can be stopped at any time: finished
    questions are kept, and the same command continues.
    """
    from adascale.models.calibration.artefact import describe
    from adascale.models.calibration.session_rollouts import FEWEST

    from ..searching.calibration import choose_problems

    run, output = options.run, options.output
    problems = choose_problems(run, FEWEST, built_in=True)
    if output is not None:
        read: list[str | Path] = [*run.data, *run.session.references()]
        check_output(output, "--output mine.calibration.safetensors", is_ours=is_calibration, reads=read)
    with open_session(run.session, run.terminal) as session:
        artefact = _fit(session, problems, options)
    path = _save(artefact, output, quiet=run.terminal.quiet > 0)
    if (artefact.card.finished.skill or 0) <= 0:
        show_warning(_NO_SKILL)
    _write_report(artefact.card.held_out, run, {"file": str(path), "calibration": describe(artefact)})


def _save(artefact: Artefact, output: Path | None, *, quiet: bool) -> Path:
    """Write a calibration to a file, or to where ``ask`` finds it."""
    from adascale.models.calibration.artefact import save_artefact
    from adascale.models.calibration.installed import own_path

    path = output or own_path(artefact.card)
    with writing(path):
        save_artefact(artefact, path)
    if not quiet:
        say(f"adascale: wrote {short_path(path)}")
    return path


@app.command(cls=Command)
@with_options(CalibrationOptions)
def check(*, options: CalibrationOptions) -> None:
    """Measure a calibration on questions that it was not fitted on.

    adascale calibrate check -d test.jsonl
    adascale calibrate check -d test.jsonl --calibration mine.calibration.safetensors
    """
    from adascale.models.calibration.artefact import describe
    from adascale.models.calibration.installed import overlap

    from ..searching.calibration import choose_problems

    problems = choose_problems(options, 1)
    with open_session(options.session, options.terminal) as session:
        artefact = session.prompts.calibrations.get("value")
        if artefact is None:
            raise _no_calibration(session)
        warnings = [*session.conditions("value").warnings, *overlap(artefact.card, problems)]
        for notice in warnings:
            show_warning(notice)
        stages = _measure(session, problems, artefact, options)
    texts = [as_typed(notice.message) for notice in warnings]
    more = {"calibration": describe(artefact), "data": _names(options.data), "warnings": texts}
    _write_report(stages, options, more)


app.command("list")(list_)
app.command()(show)


def _fit(session: OpenSession, problems: list[Problem], options: FitOptions) -> Artefact:
    """Draw what is missing, and fit on it."""
    from adascale.models.calibration.session_rollouts import SessionRollouts

    from ..searching.calibration import draw_missing, score_missing

    run = options.run
    with SessionRollouts.open(session, problems, _plan(run)) as rollouts:
        draw_missing(rollouts, run.terminal)
        score_missing(rollouts, run.terminal)
        return rollouts.fit(rollouts.training(), _names(run.data))


def _measure(
    session: OpenSession, problems: list[Problem], artefact: Artefact, run: CalibrationOptions
) -> Mapping[str, StageReport]:
    """A report on a calibration by what is drawn of these questions."""
    from adascale.engine.calibration.calibration import Calibration
    from adascale.engine.fitting.report import measure, report
    from adascale.models.calibration.session_rollouts import SessionRollouts

    from ..searching.calibration import draw_missing, score_missing

    fitted = artefact.calibration
    assert isinstance(fitted, Calibration), "those of other kinds have weights alone"
    if fitted.modes == ("prose",):
        run = replace(run, programs=0)  # it says nothing of programs
    with SessionRollouts.open(session, problems, _plan(run)) as rollouts:
        draw_missing(rollouts, run.terminal)
        score_missing(rollouts, run.terminal)
        training = rollouts.training(fewest=1).training
    return report(measure(fitted, training, run.seed), training)


def _plan(run: CalibrationOptions) -> DrawPlan:
    from adascale.models.calibration.collect import DrawPlan

    return DrawPlan(run.samples, run.seed, run.programs)


def _no_calibration(session: OpenSession) -> CalibrationError:
    """The error of a check without a calibration, or with one for the other kind of problem."""
    from adascale.models.calibration.installed import wrong_kind

    named = session.files.calibration
    if named is not None:
        notice = wrong_kind(named.card, "value")
        return CalibrationError(notice.message, hint=notice.hint, slug=notice.code)
    return CalibrationError(
        f"there is no calibration for {session.files.pair_name}",
        slug="no-calibration",
        hint=_with_models("fit", session.options),
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
