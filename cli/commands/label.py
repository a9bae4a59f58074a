"""``adascale label``: rows in, a label with a probability on each, and the doubtful ones to a person."""

from __future__ import annotations

import csv
import json
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.bands import LEAST
from adascale.engine.errors import DecodeAbortedError, UsageError, excerpt
from adascale.engine.types import percent

from ..disk.files import check_output, read_text, write_file
from ..exit_codes import INTERRUPTED
from ..options.by_command import LabelOptions
from ..options.settings import with_options
from ..searching import reporting, say_status
from ..terminal.lines import clean
from ..terminal.progress import Progress
from ..terminal.signals import graceful
from ..terminal.streams import read_stdin, say, write_payload
from ..terminal.text import columns, plural

if TYPE_CHECKING:
    from adascale.labels.labelling import Outcome
    from adascale.labels.rows import Table
    from adascale.labels.task import Labelled, LabelTask, Scores
    from adascale.models.labelling import LocalReader, ServerReader

_SHOWN = 12
"""Most labels that are counted, and of which a table of confusions is shown."""


@with_options(LabelOptions)
def label(
    source: Annotated[
        str, typer.Argument(metavar="FILE|-", help="CSV with a header, JSON Lines, or one text a line.")
    ] = "-",
    *,
    options: LabelOptions,
) -> None:
    """Label the rows of a table, each with a probability, and give the doubtful ones to a person.

    adascale label tickets.csv --text body --labels billing,technical,other --output labelled.csv
    adascale label tickets.csv --text body --labels teams.txt --output labelled.csv --review review.csv
    adascale label tickets.csv --text body --labels teams.txt --output labelled.csv --merge review.csv
    adascale label tickets.csv --text body --labels teams.txt --known team --at-least 95

    The same command goes on where it stopped: a text is read once, whatever else changes.
    """
    from adascale.labels.labelling import decide
    from adascale.labels.review import labels_of_review
    from adascale.labels.rows import read_table
    from adascale.labels.task import BY_PERSON, Labelled, LabelTask

    _check_outputs(source, options)
    task = LabelTask(read_labels(options.labels), options.question, options.many)
    table = read_table(read_stdin() if source == "-" else read_text(Path(source)), source)
    table = replace(table, rows=table.rows[: options.limit])
    table.check_column(options.text, "--text")
    known: dict[int, str] = {}
    if options.known:
        table.check_column(options.known, "--known")
        cells = ((n, str(row.get(options.known) or "").strip()) for n, row in enumerate(table.rows))
        known = {n: cell for n, cell in cells if cell}
    by_person: dict[int, str] = {}
    if options.merge is not None:
        reviewed = read_table(read_text(options.merge), str(options.merge))
        by_person = labels_of_review(reviewed, table, options.text)
    scores = _read(table, task, options)
    outcome = decide(task, scores, known, by_person)
    rows = [
        Labelled(by_person[n], band=BY_PERSON) if n in by_person else each
        for n, each in enumerate(outcome.rows)
    ]
    _write(table, rows, options)
    if not options.terminal.quiet:
        _summarise(rows, outcome, options)


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


def _check_outputs(source: str, options: LabelOptions) -> None:
    reads: list[str | Path] = [source, options.session.generator, *([options.merge] if options.merge else [])]
    if options.output != "-":
        hint = "another --output"
        check_output(Path(options.output), hint, is_ours=_is_labelled, reads=reads)
    if options.review is not None:  # a person may have filled it in
        check_output(options.review, "another --review, or --merge to take its labels", reads=reads)


def _is_labelled(path: Path) -> bool:
    with path.open("rb") as file:
        return b"runner_up" in (start := file.read(1 << 20)) or b'"predictions"' in start


def _read(table: Table, task: LabelTask, options: LabelOptions) -> list[Scores | None]:
    """Scores of all rows.

    Raises:
        Exit: with 130, after an interrupt.
    """
    from adascale.labels.labelling import read_scores

    texts = [str(row.get(options.text) or "") for row in table.rows]
    quiet, total, done = bool(options.terminal.quiet), len(texts), 0
    try:
        with ExitStack() as stack:
            report = stack.enter_context(
                reporting(options.session, options.terminal, say_status(options.terminal))
            )
            progress = stack.enter_context(Progress("rows", quiet=quiet))

            def show(count: int) -> None:
                nonlocal done
                done = count
                progress.show("labelling", count, total)

            def opened(reader: LocalReader | ServerReader) -> None:
                stack.enter_context(graceful(reader.interrupt))

            return read_scores(texts, task, options.session, report, show, opened)
    except DecodeAbortedError as error:
        say(f"adascale: stopped at {done:,} of {plural(total, 'row')}; the same command goes on")
        raise typer.Exit(INTERRUPTED) from error


def _write(table: Table, rows: Sequence[Labelled], options: LabelOptions) -> None:
    from adascale.labels.review import added_cells, label_studio, review

    if options.to is not None:
        text = json.dumps(label_studio(table, rows, options.session.generator), ensure_ascii=False, indent=1)
    else:
        text = table.with_columns(added_cells(table, rows)).text()
    if options.output == "-":
        write_payload(text)
    else:
        write_file(Path(options.output), text.encode("utf-8", "replace"))
    if options.review is not None:
        write_file(options.review, review(table, rows, options.below).text().encode("utf-8", "replace"))


def _summarise(rows: Sequence[Labelled], outcome: Outcome, options: LabelOptions) -> None:
    """Say on stderr what the rows got, which rows a person should read, and what share of known rows is correct."""
    from adascale.labels.task import BY_PERSON

    counts = Counter(row.label or "(none)" for row in rows)
    others = f", {len(counts) - _SHOWN} more labels" if len(counts) > _SHOWN else ""
    listed = ", ".join(f"{count:,} {excerpt(clean(name), 40)}" for name, count in counts.most_common(_SHOWN))
    say(f"adascale: {plural(len(rows), 'row')}: {listed}{others}")
    bands = Counter[str](row.band for row in rows)
    say("adascale: " + ", ".join(f"{bands[b]:,} {b}" for b in (*LEAST, BY_PERSON, "not read") if bands[b]))
    if options.review is not None:
        doubtful = sum(row.band != BY_PERSON and (row.probability or 0.0) < options.below for row in rows)
        say(
            f"adascale: {plural(doubtful, 'row')} below {options.below:g} for a person: {options.review}; "
            f"fill in its column label, then --merge {shlex.quote(str(options.review))}"
        )
    known = len(outcome.chosen) + len(outcome.tested)
    if known:
        share = percent(outcome.correct_rows / known)
        bias = "; the bias of labels is taken off" if outcome.is_unbiased else ""
        say(f"adascale: of {plural(known, 'known row')} {outcome.correct_rows:,} are correct ({share}){bias}")
        _show_confusion(outcome)
    else:
        say("adascale: the probabilities are the model's own: no correct label is known (--known, --merge)")
    if options.at_least is not None:
        say(f"adascale: {_promise(outcome, options.at_least / 100)}")


def _show_confusion(outcome: Outcome) -> None:
    """A table of known labels and those of the model, if some differ."""
    confusion = outcome.confusion()
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


def _promise(outcome: Outcome, wanted: float) -> str:
    """A sentence: the threshold above which enough rows are correct, or that none can be promised."""
    from adascale.labels.promise import rows_needed

    asked = f"{100 * wanted:g} %"
    promise = outcome.promise(wanted)
    if promise is None:
        need = rows_needed(wanted)
        return (
            f"no threshold promises that {asked} are correct: {need} known rows without a wrong one would "
            f"have to be above it, and {len(outcome.tested):,} test it"
        )
    above = sum((row.probability or 0.0) >= promise.threshold for row in outcome.rows)
    return (
        f"at {promise.threshold:.2f} and more: {percent(above / len(outcome.rows))} of the rows; of "
        f"{promise.rows} known ones there {promise.correct} are correct, so at least {asked} (one-sided, "
        "95 % confidence)"
    )
