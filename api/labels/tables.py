"""Tables of rows: read from a file, with labels added, and the review of doubtful rows by a person.

A table is CSV with any delimiter, JSON Lines, or a text a line. Every column and row keeps its place; added
columns come last.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from adascale.engine.errors import UsageError
from adascale.models.rows import csv_text, delimiter_of, json_object, read_csv

from .task import BY_PERSON, SEPARATOR, Labelled

Row = Mapping[str, Any]

TEXT = "text"
"""Column of the rows of a file with a text a line."""

_ROW, _SUGGESTION, _LABEL = "row", "suggestion", "label"
"""Columns of a review: number of the row in the input, label of the model, and label of a person."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and the form in which they are written.

    Attributes:
        rows: Cells of each row by column.
        columns: Names of the columns in their order; in JSON Lines of all rows.
        form: CSV with a header, or JSON Lines.
        delimiter: Between two cells of a CSV.
    """

    rows: Sequence[Row]
    columns: tuple[str, ...]
    form: Literal["csv", "jsonl"] = "csv"
    delimiter: str = ","

    def check_column(self, name: str, hint: str = "") -> None:
        """Refuse a column that no row has.

        Raises:
            UsageError: there is no such column.
        """
        if name not in self.columns:
            raise UsageError(
                f'there is no column "{name}"',
                f"columns: {', '.join(self.columns)}",
                hint=hint and f"{hint} {self.columns[0]}",
                slug="no-column",
            )

    def with_labels(self, labels: Sequence[Labelled]) -> Table:
        """The table with the label of each row in columns of its own."""
        added = added_cells(self.columns, labels)
        rows = [{**row, **more} for row, more in zip(self.rows, added, strict=True)]
        return Table(rows, tuple(dict.fromkeys((*self.columns, *added[0]))), self.form, self.delimiter)

    def text(self) -> str:
        """The table as the contents of a file."""
        if self.form == "jsonl":
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows)
        return csv_text(self.columns, self.rows, self.delimiter)


def read_table(text: str, name: str = "") -> Table:
    """The rows of a file or a pipe; its name or first line shows the form.

    Raises:
        UsageError: it is empty, a line is no row, or the header names a column twice.
    """
    if not text.strip():
        raise UsageError("there are no rows", hint="a CSV with a header, JSON Lines, or a text a line")
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if name.endswith((".jsonl", ".ndjson")) or text.lstrip().startswith("{"):
        objects = [json_object(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
        return Table(objects, tuple(dict.fromkeys(key for row in objects for key in row)), "jsonl")
    delimiter = delimiter_of(text)
    if not delimiter and not name.endswith((".csv", ".tsv")):
        return Table([{TEXT: line} for line in lines if line.strip()], (TEXT,))
    columns, cells = read_csv(io.StringIO(text, newline=""), delimiter or ",")
    rows: list[Row] = []
    for *_, row in cells:
        if isinstance(row, UsageError):
            raise row
        rows.append(row)
    return Table(rows, tuple(columns), "csv", delimiter or ",")


def added_cells(columns: Collection[str], labels: Sequence[Labelled]) -> list[dict[str, Any]]:
    """The cells to add to each row; under other names if a column has one of these already."""
    names = Labelled("").cells()
    prefix = "adascale_" if any(name in columns for name in names) else ""
    return [{f"{prefix}{name}": cell for name, cell in label.cells().items()} for label in labels]


def review(table: Table, labels: Sequence[Labelled], below: float) -> Table:
    """The rows below a probability, the most doubtful first, with an empty column to fill in."""
    doubts = {n: label.probability or 0.0 for n, label in enumerate(labels) if label.band != BY_PERSON}
    rows: list[Row] = []
    for n in sorted((n for n, p in doubts.items() if p < below), key=doubts.__getitem__):
        own = {name: cell for name, cell in table.rows[n].items() if name not in (_ROW, _LABEL)}
        cells = labels[n].cells()
        model_cells = {_SUGGESTION: cells["label"], **{k: cells[k] for k in ("probability", "runner_up")}}
        rows.append({_ROW: n + 1, **own, **model_cells, _LABEL: ""})
    columns = tuple(rows[0]) if rows else (_ROW, _LABEL)
    return Table(rows, columns, table.form, table.delimiter)


def labels_of_review(reviewed: Table, table: Table, column: str) -> dict[int, str]:
    """Labels that a person wrote, by the place of the row in the input.

    Args:
        reviewed: The table of ``review``, filled in.
        table: The input.
        column: The column with the text, by which a row is checked.

    Raises:
        UsageError: a row is not in the input.
    """
    for name in (_ROW, _LABEL):
        reviewed.check_column(name)
    labels: dict[int, str] = {}
    for row in reviewed.rows:
        number = str(row[_ROW])
        place = int(number) - 1 if number.isdecimal() else -1
        if not 0 <= place < len(table.rows) or str(row.get(column)) != str(table.rows[place].get(column)):
            raise UsageError(
                f"row {number} of the review is not in the input",
                hint="merge it with the file that it was made from",
            )
        if label := str(row[_LABEL] or "").strip():
            labels[place] = label
    return labels


def label_studio(table: Table, labels: Sequence[Labelled], model: str) -> str:
    """Tasks of Label Studio: the row as data, and the label as a prediction with its score."""
    tasks: list[dict[str, Any]] = []
    for row, label in zip(table.rows, labels, strict=True):
        choices = {"choices": label.label.split(SEPARATOR)}
        result = {"from_name": "label", "to_name": "text", "type": "choices", "value": choices}
        prediction = {"model_version": model, "score": label.probability, "result": [result]}
        tasks.append({"data": row, "predictions": [prediction] if label.label else []})
    return json.dumps(tasks, ensure_ascii=False, indent=1)
