"""``adascale label``: rows in, a label with a probability on each, and the doubtful ones to a person."""

from __future__ import annotations

import csv
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from adascale.engine.bands import LEAST
from adascale.engine.errors import UsageError, excerpt
from adascale.engine.types import percent

from ..disk.files import check_output, read_text, write_file
from ..exit_codes import INTERRUPTED
from ..opening import reporting, say_status
from ..options.flags import (
    ModelFlag,
    OfflineFlag,
    PairsFlag,
    QuietFlag,
    VerboseFlag,
    YesFlag,
    flag,
    limit_flag,
)
from ..options.settings import MACHINE, Settings, read_settings
from ..terminal.progress import Progress
from ..terminal.streams import read_stdin, say, write_payload
from ..terminal.text import clean, columns, plural

if TYPE_CHECKING:
    from adascale.labels.labelling import KnownRow, LabelOutcome
    from adascale.labels.task import Labelled, LabelTask, Scores

_SHOWN = 12
"""Most labels that are counted, and of which a table of confusions is shown."""


def label(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="FILE|-", help="CSV with a header, JSON Lines, or one text a line.")
    ] = "-",
    text: Annotated[str, flag("--text", "Column with the text.", "COLUMN")] = "text",
    labels: Annotated[
        str,
        flag("--labels", "Labels, or a file with one a line: NAME or NAME: DESCRIPTION.", "A,B|FILE"),
    ] = "",
    question: Annotated[
        str, flag("--ask", 'The question that a label answers: "Which team should read this?"', "TEXT")
    ] = "",
    many: Annotated[bool, flag("--many", "A row may have several labels, or none.")] = False,
    output: Annotated[
        str, flag("--output", "File to write, in the form of the input.", "FILE|-", show_default=True)
    ] = "-",
    review: Annotated[
        Path | None, flag("--review", "File for the rows that a person should label.", "FILE")
    ] = None,
    below: Annotated[
        float,
        flag(
            "--below", "Probability below which a row goes there.", "P", min=0.0, max=1.0, show_default=True
        ),
    ] = 0.8,
    merge: Annotated[
        Path | None, flag("--merge", "Take the labels that a person wrote into such a file.", "FILE")
    ] = None,
    known: Annotated[
        str, flag("--known", "Column with correct labels, empty where nobody knows.", "COLUMN")
    ] = "",
    at_least: Annotated[
        float | None,
        flag(
            "--at-least",
            "Find the probability from which on so many percent are correct.",
            "PERCENT",
            min=50.0,
            max=99.9,
        ),
    ] = None,
    to: Annotated[
        Literal["labelstudio"] | None,
        flag("--to", "Write tasks of Label Studio with predictions.", "labelstudio"),
    ] = None,
    limit: Annotated[int | None, limit_flag("rows")] = None,
    model: ModelFlag = None,
    offline: OfflineFlag = None,
    option: PairsFlag = None,
    quiet: QuietFlag = 0,
    verbose: VerboseFlag = 0,
    yes: YesFlag = None,
) -> None:
    """Label the rows of a table, each with a probability, and give the doubtful ones to a person.

    adascale label tickets.csv --text body --labels billing,technical,other --output labelled.csv
    adascale label tickets.csv --text body --labels teams.txt --output labelled.csv --review review.csv
    adascale label tickets.csv --text body --labels teams.txt --output labelled.csv --merge review.csv
    adascale label tickets.csv --text body --labels teams.txt --known team --at-least 95

    The same command goes on where it stopped: a text is read once, whatever else changes.
    """
    from adascale.labels.labelling import cell_text, decide
    from adascale.labels.tables import label_studio, labels_of_review, read_table
    from adascale.labels.tables import review as review_of
    from adascale.labels.task import LabelTask

    settings = read_settings(context, *MACHINE)
    reads: list[str | Path] = [source, settings.model, *([merge] if merge else [])]
    if output != "-":
        overwrite = _is_labelled(Path(output))
        check_output(Path(output), "another --output", reads=reads, overwrite=overwrite)
    if review is not None:  # a person may have filled it in
        check_output(review, "another --review, or --merge to take its labels", reads=reads)
    task = LabelTask(read_labels(labels), question, many)
    table = read_table(read_stdin() if source == "-" else read_text(Path(source)), source)
    table = replace(table, rows=table.rows[:limit])
    table.check_column(text, "--text")
    if known:
        table.check_column(known, "--known")
    correct = {n: cell for n, row in enumerate(table.rows) if known and (cell := cell_text(row.get(known)))}
    reviewed = labels_of_review(read_table(read_text(merge), str(merge)), table, text) if merge else {}
    scores = _read([cell_text(row.get(text)) for row in table.rows], task, settings)
    outcome = decide(task, scores, correct, reviewed)
    rows = outcome.rows
    result = label_studio(table, rows, settings.model) if to else table.with_labels(rows).text()
    if output == "-":
        write_payload(result)
    else:
        write_file(Path(output), result)
    if review is not None:
        doubtful = review_of(table, rows, below)
        write_file(review, doubtful.text())
    if settings.quiet:
        return
    _summarise(rows, outcome)
    if review is not None:
        say(
            f"adascale: {plural(len(doubtful.rows), 'row')} below {below:g} for a person: {review}; "
            f"fill in its column label, then --merge {shlex.quote(str(review))}"
        )
    if at_least is not None:
        say(f"adascale: {_promise(outcome, at_least / 100)}")


def read_labels(value: str) -> dict[str, str]:
    """Labels with their descriptions, from a list or from a file.

    Raises:
        UsageError: none is given, or one is given twice.
    """
    if not value.strip():
        raise UsageError("no labels given", hint="--labels billing,technical,other")
    if Path(value).is_file():
        lines = [line for line in read_text(Path(value)).splitlines() if line.strip()]
        pairs = [(name.strip(), text.strip()) for name, _, text in (line.partition(":") for line in lines)]
    else:
        pairs = [
            (name.strip(), "") for name in next(csv.reader([value], skipinitialspace=True)) if name.strip()
        ]
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"the label {', '.join(twice)} is given twice", hint="--labels billing,technical,other"
        )
    return dict(pairs)


def _is_labelled(path: Path) -> bool:
    """True for an output of this command, which may be replaced."""
    with suppress(OSError), path.open("rb") as file:
        return b"runner_up" in (start := file.read(1 << 20)) or b'"predictions"' in start
    return False


def _read(texts: list[str], task: LabelTask, settings: Settings) -> list[Scores | None]:
    """Scores of all rows.

    Raises:
        Exit: with 130, after an interrupt.
    """
    from adascale.labels.labelling import read_scores

    session, total, done = settings.session(), len(texts), 0
    with (
        reporting(session, settings, say_status(settings)) as report,
        Progress("rows", quiet=settings.quiet > 0) as progress,
    ):

        def show(count: int) -> None:
            nonlocal done
            done = count
            progress.show("labelling", count, total)

        try:
            return read_scores(texts, task, session, report, show)
        except KeyboardInterrupt:
            say(f"adascale: stopped at {done:,} of {plural(total, 'row')}; the same command goes on")
            raise typer.Exit(INTERRUPTED) from None


def _summarise(rows: Sequence[Labelled], outcome: LabelOutcome) -> None:
    """Say on stderr how many rows each label and band has, and what share of known rows is correct."""
    from adascale.labels.task import BY_PERSON

    counts = Counter(row.label or "(none)" for row in rows)
    others = f", {len(counts) - _SHOWN} more labels" if len(counts) > _SHOWN else ""
    listed = ", ".join(f"{count:,} {excerpt(clean(name), 40)}" for name, count in counts.most_common(_SHOWN))
    say(f"adascale: {plural(len(rows), 'row')}: {listed}{others}")
    bands = Counter[str](row.band for row in rows)
    say("adascale: " + ", ".join(f"{bands[b]:,} {b}" for b in (*LEAST, BY_PERSON, "not read") if bands[b]))
    if known_rows := [*outcome.chosen, *outcome.tested]:
        correct = sum(row.is_correct for row in known_rows)
        share = percent(correct / len(known_rows))
        bias = "; the bias of labels is taken off" if outcome.is_unbiased else ""
        say(f"adascale: of {plural(len(known_rows), 'known row')} {correct:,} are correct ({share}){bias}")
        _show_confusion(known_rows)
    else:
        say("adascale: the probabilities are the model's own: no correct label is known (--known, --merge)")


def _show_confusion(rows: Sequence[KnownRow]) -> None:
    """A table of the known labels against the model's labels, if some differ."""
    confusion = Counter((row.known, row.label) for row in rows)
    names = list(dict.fromkeys(name for pair in sorted(confusion) for name in pair))
    if len(names) > _SHOWN or all(one == other for one, other in confusion):
        return
    marks = [str(n) for n in range(1, len(names) + 1)]
    body = [
        (f"{mark} {excerpt(clean(name), 24)}", *(str(confusion[name, other] or ".") for other in names))
        for mark, name in zip(marks, names, strict=True)
    ]
    for line in columns([("correct label", *marks), *body], "<" + ">" * len(names)).split("\n"):
        say(f"  {line}")


def _promise(outcome: LabelOutcome, target: float) -> str:
    """A sentence: the threshold above which enough rows are correct, or that none can be promised."""
    from adascale.labels.promise import rows_needed

    share = f"{100 * target:g} %"
    promise = outcome.promise(target)
    if promise is None:
        need = rows_needed(target)
        return (
            f"no threshold promises that {share} are correct: {need} known rows without a wrong one would "
            f"have to be above it, and {len(outcome.tested):,} test it"
        )
    above = sum((row.probability or 0.0) >= promise.threshold for row in outcome.rows)
    return (
        f"at {promise.threshold:.2f} and more: {percent(above / len(outcome.rows))} of the rows; of "
        f"{promise.rows} known ones there {promise.correct} are correct, so at least {share} (one-sided, "
        "95 % confidence)"
    )
