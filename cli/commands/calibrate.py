"""Fit and check what turns a model's scores into probabilities."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from adascale.engine.codec import to_plain
from adascale.engine.errors import CalibrationError, DecodeAbortedError, UsageError, command, decimal
from adascale.engine.types import Notice, Problem
from adascale.models.upstream.address import is_address

from ..disk.files import check_output, writing
from ..exit_codes import INTERRUPTED
from ..options.by_command import CalibrationOptions, FitOptions
from ..options.declare import JsonLinesOption
from ..options.settings import Command, Listing, with_options
from ..searching import open_session, stoppable
from ..terminal.errors import as_typed, show_warning
from ..terminal.lines import clean, short_path
from ..terminal.progress import Progress
from ..terminal.signals import graceful
from ..terminal.streams import say, write_json, write_json_lines, write_payload
from ..terminal.text import columns, duration, fitted

if TYPE_CHECKING:
    from adascale.engine.calibration.metrics import Number, StageReport
    from adascale.models.calibration.artefact import Artefact
    from adascale.models.calibration.rollouts import RolloutRun
    from adascale.models.session import Session

SCHEMA = "adascale.calibrate/1"

_NO_SKILL = Notice(
    "no-skill",
    "these estimates are no better than the base rate",
    hint="fit on more questions, or on some that the model answers more often",
)

app = typer.Typer(name="calibrate", cls=Listing, help=__doc__)


@app.command(cls=Command)
@with_options(FitOptions)
def fit(*, options: FitOptions) -> None:
    """Fit a calibration for your own model on questions with known answers.

    adascale calibrate fit -m my-model.gguf
    adascale calibrate fit -m my-model.gguf --questions 60
    adascale calibrate fit -m http://127.0.0.1:11434#qwen3:4b -d questions.jsonl
    adascale calibrate fit -m my-model.gguf -d gsm8k.jsonl -d math.jsonl --questions 600

    Without --data it takes the 300 questions that come with adascale. It can be stopped at any time: finished
    questions are kept, and the same command continues.
    """
    from adascale.models.calibration.artefact import describe, is_calibration, own_path, save_artefact
    from adascale.models.calibration.training import FEWEST, fit_rollouts

    run, output = options, options.output
    is_server = is_address(run.session.generator)
    if is_server and output is not None:
        raise UsageError("a fit over a server is kept where ask finds it", hint="leave out --output")
    problems = choose_problems(run, FEWEST, built_in=True)
    if output is not None:
        read: list[str | Path] = [*run.data, *run.session.references()]
        check_output(output, "--output mine.calibration.safetensors", is_ours=is_calibration, reads=read)
    if is_server:
        artefact = _fit_over_server(problems, run)
    else:
        with _opened(run) as session, _drawn(session, problems, run) as rollouts:
            artefact = fit_rollouts(session, rollouts, _names(run.data))
    path = output or own_path(artefact.card)
    with writing(path):
        save_artefact(artefact, path)
    if not run.terminal.quiet:
        say(f"adascale: wrote {short_path(path)}")
    if (artefact.card.finished.skill or 0) <= 0:
        show_warning(_NO_SKILL)
    _write_report(artefact.card.held_out, run, {"file": str(path), "calibration": describe(artefact)})


@app.command(cls=Command)
@with_options(CalibrationOptions)
def check(*, options: CalibrationOptions) -> None:
    """Measure a calibration on questions that it was not fitted on.

    adascale calibrate check -d test.jsonl
    adascale calibrate check -d test.jsonl --calibration mine.calibration.safetensors
    """
    from adascale.engine.calibration.fit import measure, surface_estimates
    from adascale.engine.calibration.metrics import report
    from adascale.models.calibration.artefact import describe, overlap
    from adascale.models.calibration.training import training_of

    if is_address(options.session.generator):
        raise UsageError(
            "a fit over a server is not checked on other questions",
            hint=f"{command('calibrate', 'list')} has its figures on questions that were held out",
        )
    problems = choose_problems(options, 1)
    with _opened(options) as session:
        artefact = session.prompts.calibrations.get("value")
        if artefact is None:
            raise _no_calibration(session)
        warnings = [*session.conditions("value").warnings, *overlap(artefact.card, problems)]
        for notice in warnings:
            show_warning(notice)
        fitted = artefact.calibration
        run = options if "program" in fitted.modes else replace(options, programs=0)
        with _drawn(session, problems, run) as rollouts:
            training, _ = training_of(rollouts, fewest=1)
    texts = [as_typed(notice.message) for notice in warnings]
    more = {"calibration": describe(artefact), "data": _names(options.data), "warnings": texts}
    stages = report(measure(fitted, training, run.seed), surface_estimates(training))
    _write_report(stages, options, more)


@contextmanager
def _opened(run: CalibrationOptions) -> Iterator[Session]:
    from adascale.models.session import Session

    with open_session(run.session, run.terminal) as session:
        assert isinstance(session, Session), "a server is asked in another way"
        yield session


def _no_calibration(session: Session) -> CalibrationError:
    """The error of a check without a calibration, or with one for the other kind of problem."""
    from adascale.models.calibration.artefact import wrong_kind

    named = session.files.calibration
    if named is not None:
        notice = wrong_kind(named.card, "value")
        return CalibrationError(notice.message, hint=notice.hint, slug=notice.code)
    options = session.options
    prm = ["--prm", options.prm] if session.files.prm else []
    return CalibrationError(
        f"there is no calibration for {session.files.pair_name}",
        slug="no-calibration",
        hint=command("calibrate", "fit", "-m", options.generator, *prm),
    )


@contextmanager
def _drawn(session: Session, problems: list[Problem], run: CalibrationOptions) -> Iterator[RolloutRun]:
    """Rollouts of these questions, after what is missing was drawn and scored.

    Raises:
        Exit: with 130, after an interrupt.
    """
    from adascale.models.calibration.rollouts import DrawPlan
    from adascale.models.calibration.training import open_rollouts

    plan = DrawPlan(run.samples, run.seed, run.programs)
    quiet, total = bool(run.terminal.quiet), len(problems)
    with open_rollouts(session, problems, plan) as rollouts:
        if todo := len(rollouts.undrawn()):
            if not quiet:
                here = f" ({total - todo} are here already)" if todo < total else ""
                tokens, rate = plan.tokens * todo, session.decode_rate()
                each = sum(plan.trajectories.values())
                say(
                    f"adascale: generating solutions of {total} questions{here}, {each} each: "
                    f"about {tokens:,} tokens, {duration(tokens / rate)} at the {rate:.0f} tokens/s that "
                    "this machine decodes. Stop at any time; the same command continues."
                )
            with stoppable(session, session.driver(time.monotonic)) as driver:
                failed = _follow("generating", rollouts.draw(driver), todo, total, quiet)
            if (left := len(rollouts.undrawn())) > failed:
                say(f"adascale: {total - left} of {total} questions are kept; the same command continues")
                raise typer.Exit(INTERRUPTED)
        if todo := len(rollouts.unscored()):
            if not quiet:
                say(
                    f"adascale: scoring the solutions of {todo} questions with {session.files.pair_name}. "
                    "Stop at any time; the same command continues."
                )
            with graceful(session.abort.set):
                try:
                    _follow("scoring", rollouts.score(session.reward_model), todo, total, quiet)
                except DecodeAbortedError as error:
                    scored = todo - len(rollouts.unscored())
                    say(f"adascale: {scored} of {todo} questions are scored; the same command continues")
                    raise typer.Exit(INTERRUPTED) from error
        yield rollouts


def _fit_over_server(problems: list[Problem], run: FitOptions) -> Artefact:
    """Weights of votes of a server's model; every search is kept as it ends.

    Raises:
        Exit: with 130, after an interrupt.
    """
    from adascale.models.calibration.rollouts import DrawPlan
    from adascale.models.calibration.voting import VoteRun, open_searches
    from adascale.models.upstream.session import UpstreamSession

    plan = DrawPlan(run.samples, run.seed, run.programs)
    quiet, total = bool(run.terminal.quiet), len(problems)
    with open_session(run.session, run.terminal) as session, ExitStack() as stack:
        assert isinstance(session, UpstreamSession), "it has an address"
        for notice in session.conditions("value").warnings:
            show_warning(notice)
        store = stack.enter_context(closing(open_searches(session, plan)))
        searches = VoteRun(session, problems, plan, store)
        with stoppable(session, session.driver(time.monotonic)) as driver:
            failed = _follow("generating", searches.draw(driver), len(searches.undrawn()), total, quiet)
        if (left := len(searches.undrawn())) > failed:
            say(f"adascale: {total - left} of {total} questions are kept; the same command continues")
            raise typer.Exit(INTERRUPTED)
        return searches.fit(_names(run.data))


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


def choose_problems(options: CalibrationOptions, fewest: int, built_in: bool = False) -> list[Problem]:
    """The questions of ``--data``; refuses what cannot work before anything is loaded.

    Args:
        options: Names the files.
        fewest: Number of questions that are needed.
        built_in: Take those that come with the package if no file is named.

    Raises:
        UsageError: no data, fewer than ``fewest`` questions, no scores, or another kind of question.
    """
    from adascale.models.calibration.artefact import built_in_questions
    from adascale.models.calibration.training import check_enough
    from adascale.models.questions import choose_questions, only_kind, read_known

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


def _follow(task: str, ended: Iterable[tuple[Problem, str]], todo: int, total: int, quiet: bool) -> int:
    """Go through ``todo`` of ``total`` questions and show how far it is; returns how many failed."""
    failed, here = 0, total - todo
    with Progress("questions", quiet=quiet) as progress:
        progress.show(task, here, total)
        for count, (problem, error) in enumerate(ended, start=1):
            if error:
                failed += 1
                say(f"adascale: {clean(problem.id)} is left out: {clean(error)}")
            progress.show(task, here + count, total)
    return failed


@app.command("list")
def list_(as_json: JsonLinesOption = False) -> None:
    """List the calibrations on this machine; ``--json`` has the file of each, and all of its figures.

    adascale calibrate list
    adascale calibrate list --json

    SKILL: 1 is perfect, 0 is no better than the base rate. ECE: how far a probability is off on average.
    """
    from adascale.models.calibration.artefact import describe, read_installed

    found = read_installed()
    for error in found.errors:
        say(f"adascale: {as_typed(error.message)}")
    if as_json:
        write_json_lines(map(describe, found.artefacts))
    else:
        rows = [("NAME", "KIND", "QUESTIONS", "SKILL", "ECE", "DATA")]
        for card in (each.card for each in found.artefacts):
            figures = f"{len(card.questions):,}", cell(card.finished.skill), cell(card.finished.ece)
            rows.append((card.name, card.fingerprint.kind, *figures, ", ".join(card.data)))
        write_payload(fitted(columns(rows, "<<>>><")))


STAGE_NAMES: Mapping[str, str] = {
    "question": "question",
    "step": "unfinished",
    "finished": "finished",
    "program question": "question for a program",
    "program": "program",
    "task": "code task",
    "code": "code",
    "answer": "answer",
}
"""Names of the stages on the screen, in the order of a search."""


def report_text(stages: Mapping[str, StageReport]) -> str:
    """Metrics of all stages."""
    measures = ("BRIER", "SKILL", "(95 %)", "LENGTH", "ECE", "NOISE", "AUC", "WITHIN", "COVERAGE")
    rows: list[tuple[str, ...]] = [("STAGE", "N", "QUESTIONS", "CORRECT", *measures)]
    for name, stage in sorted(stages.items(), key=lambda each: [*STAGE_NAMES].index(each[0])):
        low, high = map(cell, stage.intervals["skill"])
        rows.append(
            (
                STAGE_NAMES[name],
                f"{stage.n:,}",
                f"{stage.questions:,}",
                *map(cell, (stage.base_rate, stage.brier, stage.skill)),
                f"({low} {high})",
                "" if stage.surface is None else cell(stage.surface.skill),
                *map(cell, (stage.ece, stage.ece_floor, stage.auc)),
                "" if stage.auc_within is None else cell(stage.auc_within),
                cell(stage.coverage),
            )
        )
    return columns(rows, "<" + ">" * 12)


def cell(value: Number) -> str:
    """``.812``, or ``-`` if it is not defined."""
    return "-" if value is None else decimal(value)
