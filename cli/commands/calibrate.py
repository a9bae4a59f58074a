"""Fit and list what turns a model's scores into probabilities."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adascale.engine.errors import DecodeAbortedError, UsageError, decimal
from adascale.engine.kind_table import entry_of
from adascale.engine.types import Notice, Problem
from adascale.models.options import MAX_BRANCHES
from adascale.models.upstream.address import is_address

from ..disk.files import check_output, writing
from ..exit_codes import INTERRUPTED
from ..opening import open_session, stoppable
from ..options.command_line import Command, Listing
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
from ..terminal.lines import clean, short_path
from ..terminal.progress import Progress
from ..terminal.signals import graceful
from ..terminal.streams import say, write_json, write_json_lines, write_payload
from ..terminal.text import columns, duration

if TYPE_CHECKING:
    from adascale.engine.calibration.metrics import Number
    from adascale.models import AnySession
    from adascale.models.calibration.artefact import Artefact, Card
    from adascale.models.calibration.rollouts import DrawPlan, RolloutRun
    from adascale.models.calibration.voting import VoteRun

SCHEMA = "adascale.calibrate/1"

_NO_SKILL = Notice(
    "no-skill",
    "these estimates are no better than the base rate",
    hint="fit on more questions, or on some that the model answers more often",
)

app = typer.Typer(name="calibrate", cls=Listing, help=__doc__)


@app.command(cls=Command)
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
    output: Annotated[
        Path | None, flag("--output", "File to write; by default where ask finds it.", "FILE")
    ] = None,
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
    from adascale.models.calibration.artefact import describe, is_calibration, own_path, save_artefact
    from adascale.models.calibration.rollouts import DrawPlan

    settings, files = read_settings(context, *SESSION), data or []
    options = settings.session(calibration="none", branches=MAX_BRANCHES, purpose="rollouts")
    is_server = is_address(options.generator)
    if is_server and output is not None:
        raise UsageError("a fit over a server is kept where ask finds it", hint="leave out --output")
    if options.prm == "none":
        raise UsageError("--prm none leaves nothing to calibrate", hint="--prm probe")
    problems = choose_problems(files, questions, seed)
    if output is not None:
        read: list[str | Path] = [*files, *options.references()]
        check_output(output, "--output mine.calibration.safetensors", is_ours=is_calibration, reads=read)
    names = [path.name for path in files] or ["built-in questions"]
    with open_session(options, settings) as session:
        fitted = _fit_over_server if is_server else _fit_model
        artefact = fitted(session, problems, DrawPlan(samples, seed, programs), names, settings.quiet > 0)
    path = output or own_path(artefact.card)
    with writing(path):
        save_artefact(artefact, path)
    if not settings.quiet:
        say(f"adascale: wrote {short_path(path)}")
    if (artefact.card.finished.skill or 0) <= 0:
        show_warning(_NO_SKILL)
    if json_output:
        write_json({"schema": SCHEMA, "file": str(path), "calibration": describe(artefact)})
    else:
        write_payload(_table([artefact.card]))


def _fit_model(
    session: Any, problems: list[Problem], plan: DrawPlan, names: Sequence[str], quiet: bool
) -> Artefact:
    """A calibration over a model of this machine, after what is missing was drawn and scored.

    Raises:
        Exit: with 130, after an interrupt.
    """
    from adascale.models.calibration.training import fit_rollouts, open_rollouts

    total = len(problems)
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
            _draw(session, rollouts, quiet)
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
        return fit_rollouts(session, rollouts, names)


def _fit_over_server(
    session: Any, problems: list[Problem], plan: DrawPlan, names: Sequence[str], quiet: bool
) -> Artefact:
    """Weights of votes of a server's model; every search is kept as it ends.

    Raises:
        Exit: with 130, after an interrupt.
    """
    from adascale.models.calibration.voting import VoteRun, open_searches

    for notice in session.conditions("value").warnings:
        show_warning(notice)
    with closing(open_searches(session, plan)) as store:
        searches = VoteRun(session, problems, plan, store)
        _draw(session, searches, quiet)
        return searches.fit(names)


def _draw(session: AnySession, run: RolloutRun | VoteRun, quiet: bool) -> None:
    """Draw what is missing of a run.

    Raises:
        Exit: with 130, after an interrupt.
    """
    todo, total = len(run.undrawn()), len(run.problems)
    with stoppable(session, session.driver(time.monotonic)) as driver:
        failed = _follow("generating", run.draw(driver), todo, total, quiet)
    if (left := len(run.undrawn())) > failed:
        say(f"adascale: {total - left} of {total} questions are kept; the same command continues")
        raise typer.Exit(INTERRUPTED)


def choose_problems(files: Sequence[Path], number: int | None, seed: int) -> list[Problem]:
    """So many questions of files, or of the package; refuses before anything is loaded.

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
def list_(as_json: JsonLinesFlag = False) -> None:
    """List the calibrations on this machine; ``--json`` has the file of each, and its figures by stage.

    adascale calibrate list
    adascale calibrate list --json

    SKILL: 1 is perfect, 0 is no better than the base rate. ECE: how far a probability is off on average, and
    NOISE: how far it would seem off by chance. BRIER: the mean squared error.
    """
    from adascale.models.calibration.artefact import describe, read_installed

    found = read_installed()
    for error in found.errors:
        say(f"adascale: {as_typed(error.message)}")
    if as_json:
        write_json_lines(map(describe, found.artefacts))
    else:
        write_payload(_table(each.card for each in found.artefacts))


def _table(cards: Iterable[Card]) -> str:
    """A row for each calibration, with its figures on questions that were held out."""
    rows = [["NAME", "KIND", "QUESTIONS", "BRIER", "SKILL", "ECE", "NOISE", "DATA"]]
    for card in cards:
        held_out = card.finished
        figures = map(_cell, (held_out.brier, held_out.skill, held_out.ece, held_out.ece_floor))
        questions = f"{len(card.questions):,}"
        rows.append([card.name, card.fingerprint.kind, questions, *figures, ", ".join(card.data)])
    return columns(rows, "<<>>>>><", fits=True)


def _cell(value: Number) -> str:
    """``.812``, or ``-`` if it is not defined."""
    return "-" if value is None else decimal(value)
