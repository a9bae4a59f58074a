"""Fit and list what turns a model's scores into probabilities."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from adascale.engine.errors import DecodeAbortedError, UsageError, decimal
from adascale.engine.types import Notice, Problem
from adascale.models.upstream.address import is_address

from ..disk.files import check_output, writing
from ..exit_codes import INTERRUPTED
from ..options.by_command import FitOptions
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
    from adascale.engine.calibration.metrics import Number
    from adascale.models import AnySession
    from adascale.models.calibration.artefact import Artefact, Card
    from adascale.models.calibration.rollouts import RolloutRun
    from adascale.models.calibration.voting import VoteRun
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
    from adascale.models.calibration.training import fit_rollouts
    from adascale.models.session import Session

    run, output = options, options.output
    is_server = is_address(run.session.generator)
    if is_server and output is not None:
        raise UsageError("a fit over a server is kept where ask finds it", hint="leave out --output")
    problems = choose_problems(run)
    if output is not None:
        read: list[str | Path] = [*run.data, *run.session.references()]
        check_output(output, "--output mine.calibration.safetensors", is_ours=is_calibration, reads=read)
    if is_server:
        artefact = _fit_over_server(problems, run)
    else:
        with open_session(run.session, run.terminal) as session:
            assert isinstance(session, Session), "it is a file"
            with _drawn(session, problems, run) as rollouts:
                artefact = fit_rollouts(session, rollouts, _names(run.data))
    path = output or own_path(artefact.card)
    with writing(path):
        save_artefact(artefact, path)
    if not run.terminal.quiet:
        say(f"adascale: wrote {short_path(path)}")
    if (artefact.card.finished.skill or 0) <= 0:
        show_warning(_NO_SKILL)
    if run.json_output:
        write_json({"schema": SCHEMA, "file": str(path), "calibration": describe(artefact)})
    else:
        write_payload(_table([artefact.card]))


@contextmanager
def _drawn(session: Session, problems: list[Problem], run: FitOptions) -> Iterator[RolloutRun]:
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
    with open_session(run.session, run.terminal) as session, ExitStack() as stack:
        assert isinstance(session, UpstreamSession), "it has an address"
        for notice in session.conditions("value").warnings:
            show_warning(notice)
        store = stack.enter_context(closing(open_searches(session, plan)))
        searches = VoteRun(session, problems, plan, store)
        _draw(session, searches, bool(run.terminal.quiet))
        return searches.fit(_names(run.data))


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


def _names(files: Sequence[Path]) -> list[str]:
    return [path.name for path in files] or ["built-in questions"]


def choose_problems(options: FitOptions) -> list[Problem]:
    """The questions of ``--data``, or those of the package; refuses before anything is loaded.

    Raises:
        UsageError: too few questions, no scores, or another kind of question.
    """
    from adascale.models.calibration.artefact import built_in_questions
    from adascale.models.calibration.training import check_enough
    from adascale.models.questions import choose_questions, read_known

    if options.session.prm == "none":
        raise UsageError("--prm none leaves nothing to calibrate", hint="--prm probe")
    if options.data:
        problems = choose_questions(read_known(options.data), options.questions, options.seed)
    else:
        problems = built_in_questions()[: options.questions]
    check_enough(len(problems))
    if others := {problem.kind for problem in problems} - {"value"}:
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
def list_(as_json: JsonLinesOption = False) -> None:
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
    return fitted(columns(rows, "<<>>>>><"))


def _cell(value: Number) -> str:
    """``.812``, or ``-`` if it is not defined."""
    return "-" if value is None else decimal(value)
