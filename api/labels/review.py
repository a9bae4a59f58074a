"""Files beside a labelled table: rows for a person to label, their labels, and tasks of Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adascale.engine.errors import UsageError

from .rows import Table
from .task import BY_PERSON, SEPARATOR, Labelled

_ROW, _SUGGESTION, _LABEL = "row", "suggestion", "label"
"""Columns of a review: number of the row in the input, label of the model, and of a person."""


def added_cells(table: Table, rows: Sequence[Labelled]) -> list[dict[str, Any]]:
    """The columns to add; under other names if the table has one of these already."""
    cells = [each.cells() for each in rows]
    is_taken = any(name in table.columns for name in (cells[0] if cells else ()))
    return (
        [{f"adascale_{name}": value for name, value in each.items()} for each in cells] if is_taken else cells
    )


def review(table: Table, rows: Sequence[Labelled], below: float) -> Table:
    """The rows below a probability, the most doubtful first, with an empty column to fill in."""
    doubtful = [
        n for n, each in enumerate(rows) if each.band != BY_PERSON and (each.probability or 0.0) < below
    ]
    doubtful.sort(key=lambda n: rows[n].probability or 0.0)
    records: list[dict[str, Any]] = []
    for n in doubtful:
        cells = rows[n].cells()
        own = {name: value for name, value in table.rows[n].items() if name not in (_ROW, _LABEL)}
        shown = {_SUGGESTION: cells["label"], **{k: cells[k] for k in ("probability", "runner_up")}}
        records.append({_ROW: n + 1, **own, **shown, _LABEL: ""})
    columns = tuple(records[0]) if records else (_ROW, _LABEL)
    return Table(records, columns, table.form, table.delimiter)


def labels_of_review(reviewed: Table, table: Table, column: str) -> dict[int, str]:
    """Labels that a person wrote, by the place of the row in the input.

    Args:
        reviewed: As of ``review``, filled in.
        table: The input.
        column: The column with the text, by which a row is checked.

    Raises:
        UsageError: a row is none of the input.
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


def label_studio(table: Table, rows: Sequence[Labelled], model: str) -> list[dict[str, Any]]:
    """Tasks of Label Studio: the row as data, and the label as a prediction with its score."""
    tasks: list[dict[str, Any]] = []
    for row, each in zip(table.rows, rows, strict=True):
        choices = {"choices": each.label.split(SEPARATOR)}
        result = {"from_name": "label", "to_name": "text", "type": "choices", "value": choices}
        prediction = {"model_version": model, "score": each.probability, "result": [result]}
        tasks.append({"data": row, "predictions": [prediction] if each.label else []})
    return tasks
