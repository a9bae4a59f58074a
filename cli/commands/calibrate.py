"""Fit and list what turns a model's scores into probabilities."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.errors import UsageError, decimal
from adascale.engine.kind_table import entry_of
from adascale.engine.types import Notice, Problem
from adascale.models.options import MAX_BRANCHES

from ..disk.files import writing
from ..exit_codes import INTERRUPTED
from ..opening import open_session, stoppable
from ..options.command_line import HelpfulCommand, Listing
from ..options.flags import (
    JsonFlag,
    JsonLinesFlag,
    ModelFlag,
    OfflineFlag,
    PairsFlag,
    PrmFlag,
    QuestionsFlag,
    QuietFlag,
    SeedOfChoiceFlag,
    SystemFlag,
    ThinkFlag,
    VerboseFlag,
    YesFlag,
    flag,
)
from ..options.settings import SESSION, read_settings
from ..terminal.errors import as_typed, show_warning
from ..terminal.progress import Progress
from ..terminal.streams import say, write_json, write_json_lines, write_payload
from ..terminal.text import clean, columns, duration, short_path

if TYPE_CHECKING:
    from adascale.models import AnySession
    from adascale.models.calibration.artefact import Card
    from adascale.models.calibration.rollouts import DrawPlan, RolloutRun

SCHEMA = "adascale.calibrate/1"

_NO_SKILL = Notice(
    "no-skill",
    "these estimates are no better than the base rate",
    hint="fit on more questions, or on some that the model answers more often",
)

app = typer.Typer(name="calibrate", cls=Listing, help=__doc__)


@app.command(cls=HelpfulCommand)
def fit(
    context: typer.Context,
    model: ModelFlag = None,
    prm: PrmFlag = None,
    system: SystemFlag = "",
    think: ThinkFlag = None,
    offline: OfflineFlag = None,
    data: Annotated[
        list[Path] | None,
        flag("--data -d", "JSON Lines with question and answer; repeatable.", "FILE"),
    ] = None,
    questions: QuestionsFlag = None,
    seed: SeedOfChoiceFlag = 0,
    samples: Annotated[
        int,
        flag("--samples -k", "Solutions in prose of each question.", "N", min=1, max=64, show_default=True),
    ] = 3,
    programs: Annotated[
        int, flag("--programs", "Programs for each question.", "N", min=0, max=64, show_default=True)
    ] = 3,
    json_output: JsonFlag = False,
    option: PairsFlag = None,
    quiet: QuietFlag = 0,
    verbose: VerboseFlag = 0,
    yes: YesFlag = None,
) -> None:
    """Fit a calibration for your own model on questions with known answers.

    adascale calibrate fit -m my-model.gguf
    adascale calibrate fit -m my-model.gguf --questions 60
    adascale calibrate fit -m http://127.0.0.1:11434#qwen3:4b -d questions.jsonl
    adascale calibrate fit -m my-model.gguf -d gsm8k.jsonl -d math.jsonl --questions 600

    Without --data it takes the 300 questions that come with adascale. It can be stopped at any time: finished
    questions are kept, and the same command continues.
    """
    from adascale.models.calibration.artefact import describe, own_path, save_artefact
    from adascale.models.calibration.rollouts import DrawPlan, RolloutRun, RolloutStore
    from adascale.models.calibration.training import fit_rollouts

    settings, files = read_settings(context, *SESSION), data or []
    options = settings.session(calibration="none", branches=MAX_BRANCHES, purpose="rollouts")
    if options.prm == "none":
        raise UsageError("--prm none leaves nothing to calibrate", hint="--prm probe")
    problems = choose_problems(files, questions, seed)
    names = [path.name for path in files] or ["built-in questions"]
    plan, is_quiet = DrawPlan(samples, seed, programs), settings.quiet > 0
    with (
        open_session(options, settings) as session,
        closing(RolloutStore(plan.store_path(session.fingerprint))) as store,
    ):
        run = RolloutRun(problems, plan, store)
        _draw(session, run, is_quiet)
        artefact = fit_rollouts(session, run, names)
    path = own_path(artefact.card)
    with writing(path):
        save_artefact(artefact, path)
    if not is_quiet:
        say(f"adascale: wrote {short_path(path)}")
    if artefact.card.answers.skill <= 0:
        show_warning(_NO_SKILL)
    if json_output:
        write_json({"schema": SCHEMA, "file": str(path), "calibration": describe(artefact)})
    else:
        write_payload(_table([artefact.card]))


def _draw(session: AnySession, run: RolloutRun, quiet: bool) -> None:
    """Draw the missing solutions of a run.

    Raises:
        Exit: with 130, after an interrupt.
    """
    todo, total, failed = len(run.undrawn()), len(run.problems), 0
    conditions = session.conditions("value")
    for notice in conditions.warnings:
        show_warning(notice)
    if todo and not quiet:
        _say_work(session, run.plan, todo, total)
    with (
        stoppable(session, session.driver(time.monotonic)) as driver,
        Progress("questions", quiet=quiet) as progress,
    ):
        progress.show("generating", total - todo, total)
        for count, (problem, error) in enumerate(run.draw(driver, conditions), start=1):
            if error:
                failed += 1
                say(f"adascale: {clean(problem.id)} is left out: {clean(error)}")
            progress.show("generating", total - todo + count, total)
    if (left := len(run.undrawn())) > failed:
        say(f"adascale: {total - left} of {total} questions are kept; the same command continues")
        raise typer.Exit(INTERRUPTED)


def _say_work(session: AnySession, plan: DrawPlan, todo: int, total: int) -> None:
    """Say how much is to be drawn, and of a model of this machine how long that takes."""
    from adascale.models.session import Session

    here, tokens = f" ({total - todo} are here already)" if todo < total else "", plan.tokens * todo
    text = f"generating solutions of {total} questions{here}, {plan.samples + plan.programs} each: "
    text += f"about {tokens:,} tokens"
    if isinstance(session, Session):
        rate = session.decode_rate()
        text += f", {duration(tokens / rate)} at the {rate:.0f} tokens/s that this machine decodes"
    say(f"adascale: {text}. Stop at any time; the same command continues.")


def choose_problems(files: Sequence[Path], number: int | None, seed: int) -> list[Problem]:
    """Choose questions of files, or of the package; refuses before anything is loaded.

    Raises:
        UsageError: too few questions, or another kind of question.
    """
    from adascale.models.calibration.artefact import built_in_questions
    from adascale.models.calibration.training import check_enough
    from adascale.models.questions import choose_questions, read_known

    problems = choose_questions(read_known(files), number, seed) if files else built_in_questions()[:number]
    check_enough(len(problems))
    if others := {problem.kind for problem in problems if not entry_of(problem).is_fitted}:
        raise UsageError(
            f"nothing is fitted for questions of the kind {', '.join(sorted(others))}",
            hint="questions whose answer is a number or a formula",
        )
    return problems


@app.command("list")
def list_(as_json: JsonLinesFlag = False) -> None:
    """List the calibrations on this machine; ``--json`` has the file of each, and its figures by stage.

    adascale calibrate list
    adascale calibrate list --json

    SKILL: 1 is perfect, 0 is no better than the base rate. BRIER: the mean squared error.
    """
    from adascale.models.calibration.artefact import describe, read_installed

    installed = read_installed()
    for error in installed.errors:
        say(f"adascale: {as_typed(error.message)}")
    if as_json:
        write_json_lines(map(describe, installed.artefacts))
    else:
        write_payload(_table(each.card for each in installed.artefacts))


def _table(cards: Iterable[Card]) -> str:
    """A row for each calibration, with its figures on questions that were held out."""
    rows = [["NAME", "KIND", "QUESTIONS", "BRIER", "SKILL", "DATA"]]
    for card in cards:
        figures = decimal(card.answers.brier), decimal(card.answers.skill)
        questions = f"{len(card.questions):,}"
        rows.append([card.name, card.fingerprint.kind, questions, *figures, ", ".join(card.data)])
    return columns(rows, "<<>>><")
