"""``adascale calibrate``: fit, check, show and list what turns scores into probabilities."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adascale.engine.errors import CalibrationError, UsageError
from adascale.engine.search.codec import to_plain
from adascale.engine.types import Notice, Problem
from adascale.models.questions import kind_of

from ..disk.files import check_apart, check_writable, read_text, unwritable, write_file
from ..options.declare import JsonLinesOption, JsonOption
from ..options.flatten import with_options
from ..options.groups import CalibrationOptions, CheckOptions, FitOptions
from ..report.calibrate_report import card_text, list_text, report_text
from ..report.plots import reliability_diagram
from ..searching.models import open_session
from ..terminal.console import as_typed, say, short_path, show_warning, write_json, write_payload

if TYPE_CHECKING:
    from adascale.engine.calibration.report import StageReport
    from adascale.models.calibration.artefact import Artefact
    from adascale.models.session import OpenSession

    from .calibrate_draw import TrainingDraws

SCHEMA = "adascale.calibrate/1"

_NO_SKILL = Notice(
    "no-skill",
    "these estimates are no better than the base rate",
    hint="fit on more questions, or on some that the model answers more often",
)

_UNLABELLED = Notice(
    "unlabelled",
    "these figures are against what solutions agree on, not against right answers",
    hint="adascale calibrate check --data questions.jsonl, where some answers are known",
)

FilesOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show the files too.")]

app = typer.Typer(
    name="calibrate",
    no_args_is_help=True,
    help="Fit and check what turns a model's scores into probabilities.",
)


@app.command()
@with_options(FitOptions)
def fit(*, options: FitOptions) -> None:
    """Fit a calibration for your own model on questions with known answers.

    adascale calibrate fit -g my-model.gguf
    adascale calibrate fit -g my-model.gguf --quick
    adascale calibrate fit -g my-model.gguf -d gsm8k.jsonl -d math.jsonl --questions 600 --plot fit.svg
    adascale calibrate fit -g my-model.gguf -d code-tasks.jsonl --programs 8
    adascale calibrate fit -g my-model.gguf --unlabelled my-questions.txt

    Without --data it takes the 300 questions that come with adascale, with --quick 60 of them. Records with
    tests, and hidden tests that judge, make it a calibration for code. --unlabelled needs no answers: what
    several solutions agree on stands for them. It can be stopped at any time: finished questions are kept,
    and the same command goes on.
    """
    from adascale.models.calibration.artefact import describe

    from .calibrate_draw import FEWEST, choose_problems, choose_unlabelled, draw_training, draw_unlabelled

    run, output = options.sized_run(), options.output
    is_labelled = not options.unlabelled
    problems = choose_problems(run, FEWEST, built_in=True) if is_labelled else choose_unlabelled(options)
    if output is not None:
        check_writable(output)
        read: list[str | Path] = [*run.data, *options.unlabelled, *run.session.references()]
        check_apart(output, read, "-o mine.calibration.safetensors")
    with open_session(run.session, run.terminal) as session:
        if is_labelled:
            draws = draw_training(session, problems, FEWEST, run)
        else:
            draws = draw_unlabelled(session, problems, options)
        artefact = _fit(session, draws, options)
    path = _write_artefact(artefact, output)
    if not run.terminal.quiet:
        say(f"adascale: wrote {short_path(path)}")
    if run.terminal.quiet < 2 and not is_labelled:
        show_warning(_UNLABELLED)
    if run.terminal.quiet < 2 and (artefact.card.finished.skill or 0) <= 0:
        show_warning(_NO_SKILL)
    described = to_plain(describe(artefact))
    _write_report(artefact.card.held_out, run, {"file": str(path), "calibration": described})


@app.command()
@with_options(CheckOptions)
def check(*, options: CheckOptions) -> None:
    """Measure a calibration on questions that it was not fitted on.

    adascale calibrate check -d test.jsonl
    adascale calibrate check -d test.jsonl --calibration mine.calibration.safetensors
    """
    from adascale.engine.calibration.fitting import measure
    from adascale.engine.calibration.report import report
    from adascale.models.calibration.artefact import describe

    from .calibrate_draw import choose_problems, draw_training, pair_name

    run = options.run
    problems = choose_problems(run, 1)
    with open_session(run.session, run.terminal) as session:
        kind = kind_of(problems)
        artefact = session.calibrations.get(kind)
        if artefact is None and run.session.calibration != "none":
            raise CalibrationError(
                f"there is no calibration for {pair_name(session)}",
                slug="no-calibration",
                hint="adascale calibrate fit --data questions.jsonl",
            )
        warnings = [*session.conditions(kind).warnings, *_warnings_of_overlap(artefact, problems)]
        for notice in warnings if run.terminal.quiet < 2 else ():
            show_warning(notice)
        if artefact is not None and artefact.calibration.modes == ("prose",):
            run = replace(run, programs=0)  # it says nothing of programs
        draws = draw_training(session, problems, 1, run)
        fitted = None if artefact is None else artefact.calibration
        # A raw score is not shown a second time beside itself.
        beside = None if artefact is None else draws.training
        stages = report(measure(fitted, draws.training, run.seed), beside)
        described = None if artefact is None else to_plain(describe(artefact))
    texts = [as_typed(notice.message) for notice in warnings]
    label = "raw score" if artefact is None else "calibrated"
    _write_report(stages, run, {"calibration": described, "data": draws.names, "warnings": texts}, label)


@app.command("list")
def list_(as_json: JsonLinesOption = False, verbose: FilesOption = False) -> None:
    """List the calibrations on this machine; -v shows their files.

    adascale calibrate list
    """
    from adascale.models.calibration.artefact import describe
    from adascale.models.calibration.installed import read_installed

    found = read_installed()
    good = [describe(artefact) for artefact in found.artefacts]
    for error in found.errors:
        say(f"adascale: {as_typed(error.message)}")
    if as_json:
        write_payload("\n".join(json.dumps(to_plain(card), sort_keys=True) for card in good))
    else:
        write_payload(list_text(good, files=verbose))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name from the list, or a file.")],
    as_json: JsonOption = False,
) -> None:
    """Show what a calibration was fitted on and how good it is.

    adascale calibrate show qwen2.5-coder-1.5b+probe
    """
    from adascale.models.calibration.artefact import describe

    card = describe(_named(name))
    as_text = json.dumps(to_plain(card), indent=2, sort_keys=True) if as_json else card_text(card)
    write_payload(as_text)


@app.command()
def pull(
    ref: Annotated[str, typer.Argument(metavar="REF", help="hf:user/repo, or hf:user/repo/file.")],
    as_json: JsonLinesOption = False,
) -> None:
    """Fetch calibrations that others have published on the Hugging Face Hub.

    adascale calibrate pull hf:someone/calibrations
    adascale calibrate pull hf:someone/calibrations/qwen3-1.7b+probe.calibration.safetensors

    Each is used where the generator has exactly the sha256 that it was fitted with, and only where no
    calibration of your own fits as well.
    """
    from adascale.models.calibration import shared
    from adascale.models.calibration.artefact import describe
    from adascale.models.files.library import installed_models

    try:
        found = shared.pull(ref)
    except OSError as error:
        raise unwritable(Path(error.filename or "."), error) from error
    cards = [describe(artefact) for artefact in found]
    here = {file.sha256: file.name for file in installed_models().files}
    for card in cards:
        say(f"adascale: {card.name} is for {_generator_of(card.fingerprint.generator, here)}")
    if as_json:
        write_payload("\n".join(json.dumps(to_plain(card), sort_keys=True) for card in cards))
    else:
        write_payload(list_text(cards))


@app.command()
def export(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Names from the list, or files.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write.")],
) -> None:
    """Lay calibrations out in a folder for the Hugging Face Hub, with a card that says what they are.

    adascale calibrate export my-model+probe -o my-calibrations
    hf upload someone/calibrations my-calibrations

    The folder has the files and a README.md. They hold numbers, names of question files and digests of
    questions; no question, answer or solution.
    """
    from adascale.models.calibration.artefact import describe

    from ..report.calibration_page import calibration_page, is_calibration_page

    page_path = output / "README.md"
    if page_path.exists() and not is_calibration_page(read_text(page_path)):
        raise UsageError(
            f"{page_path} is no card of calibrations, and would be written over",
            hint="-o another folder",
            slug="output-exists",
        )
    found = [_named(name) for name in dict.fromkeys(names)]
    files = {
        artefact.path.name: artefact.path.read_bytes() for artefact in found if artefact.path is not None
    }
    if len(files) < len(found):
        raise UsageError(
            "two of these calibrations have the same file name, and a folder holds one of them",
            hint="rename a file, or export them to two folders",
        )
    page = calibration_page([describe(artefact) for artefact in found])
    for name, data in files.items():
        write_file(output / name, data)
    write_file(page_path, page.encode())
    say(f"adascale: wrote {len(files)} and a card to {short_path(output)}")
    say(f"adascale: hf upload USER/REPO {short_path(output)} publishes them")


def _named(name: str) -> Artefact:
    """A calibration of the list, or a file.

    Raises:
        CalibrationError: there is none.
    """
    from adascale.models.calibration.artefact import load_artefact
    from adascale.models.calibration.installed import read_installed

    if Path(name).is_file():
        return load_artefact(Path(name))
    for artefact in read_installed().artefacts:
        if artefact.card.name == name:
            return artefact
    raise CalibrationError(
        f"there is no calibration {name}", slug="no-calibration", hint="adascale calibrate list"
    )


def _generator_of(sha256: str, here: Mapping[str, str]) -> str:
    """The generator of a calibration in words: its name where that is known, and whether it is here.

    Args:
        sha256: Digest of the generator.
        here: Names of the models on this machine, by digest.
    """
    from adascale.models.files.catalog import catalog

    known = next((spec.name for spec in catalog().values() if spec.sha256 == sha256), "a generator")
    name = here.get(sha256, known)
    place = "is here" if sha256 in here else "is not among the models that are listed here"
    return f"{name} (sha256 {sha256[:12]}), which {place}"


def _fit(session: OpenSession, draws: TrainingDraws, options: FitOptions) -> Artefact:
    """Fit on what was drawn, and write on the card how good it is on questions held out."""
    import llama_cpp
    import numpy

    from adascale import __version__
    from adascale.engine.calibration.fitting import fit_calibration
    from adascale.engine.calibration.head import HeadConfig
    from adascale.engine.calibration.report import report
    from adascale.models.calibration.artefact import Artefact, Card

    from .calibrate_draw import pair_name

    run, kind = options.run, draws.kind
    fitted = fit_calibration(draws.training, options.method, HeadConfig(), run.seed)
    card = Card(
        name=pair_name(session) + ("+code" if kind == "task" else ""),
        fingerprint=session.fingerprints[kind],
        method=options.method,
        data=draws.names,
        questions=draws.questions,
        samples=run.samples if kind == "question" else 0,
        programs=run.programs,
        rollouts=run.rollouts if kind == "question" else 0,
        seed=run.seed,
        versions={"adascale": __version__, "llama_cpp": llama_cpp.__version__, "numpy": numpy.__version__},
        held_out=report(fitted.held_out, draws.training),
        is_labelled=not options.unlabelled,
    )
    return Artefact(fitted.calibration, card)


def _write_artefact(artefact: Artefact, output: Path | None) -> Path:
    """Write a calibration to ``output``, or where ``ask`` finds it; returns the file.

    Raises:
        UsageError: it cannot be written.
    """
    from adascale.models.calibration.artefact import SUFFIX, save_artefact
    from adascale.models.calibration.installed import own_folder

    # In the own folder one file for each generator, PRM, prompt and sampler.
    name = re.sub(r"[^\w+.-]", "_", artefact.card.name)
    key = json.dumps(asdict(artefact.card.fingerprint), sort_keys=True)
    path = output or own_folder() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}{SUFFIX}"
    try:
        save_artefact(artefact, path)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def _warnings_of_overlap(artefact: Artefact | None, problems: list[Problem]) -> list[Notice]:
    """A warning where it is to be measured on questions that it was fitted on."""
    from adascale.models.calibration.artefact import question_key

    fitted = set(artefact.card.questions if artefact else ())
    again = sum(question_key(problem.question) in fitted for problem in problems)
    if not again:
        return []
    said = f"the calibration was fitted on {again} of these questions: its figures will flatter it"
    return [Notice("fitted-on-this", said, hint="check on questions that are new to it")]


def _write_report(
    stages: Mapping[str, StageReport],
    run: CalibrationOptions,
    more: Mapping[str, Any],
    label: str = "calibrated",
) -> None:
    """Print a report as text or JSON, and draw it where --plot asks for that."""
    if run.json_output:
        write_json({"schema": SCHEMA, **more, "stages": to_plain(stages)})
    else:
        write_payload(report_text(stages))
    if run.plot is not None:
        reliability_diagram(stages, run.plot, label)
        if not run.terminal.quiet:
            say(f"adascale: drew {run.plot}")
