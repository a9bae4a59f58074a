"""A table as it stands in a file (CSV with any delimiter, JSON Lines, a text a line), and with more columns.

Every column and every row keeps its place; columns that are added come last.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from adascale.engine.errors import UsageError
from adascale.models.rows import csv_text, delimiter_of, json_object, read_csv

Row = Mapping[str, Any]

TEXT = "text"
"""Column of the rows of a file with a text a line."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and the form in which they are written.

    Attributes:
        rows: Cells of each row by column.
        columns: Names of the columns in their order; of JSON Lines those that any row has.
        form: CSV with a header, or JSON Lines.
        delimiter: Between two cells of a CSV.
    """

    rows: Sequence[Row]
    columns: tuple[str, ...]
    form: Literal["csv", "jsonl"] = "csv"
    delimiter: str = ","

    def check_column(self, name: str, hint: str = "") -> None:
        """Refuse a column that is not there.

        Raises:
            UsageError: no row has it.
        """
        if name not in self.columns:
            raise UsageError(
                f'there is no column "{name}"',
                f"columns: {', '.join(self.columns)}",
                hint=hint and f"{hint} {self.columns[0]}",
                slug="no-column",
            )

    def with_columns(self, added: Sequence[Row]) -> Table:
        """The table with more cells in each row, which replace those of columns that it has."""
        rows = [{**row, **more} for row, more in zip(self.rows, added, strict=True)]
        names = dict.fromkeys((*self.columns, *(name for row in added for name in row)))
        return Table(rows, tuple(names), self.form, self.delimiter)

    def text(self) -> str:
        """The table as the contents of a file."""
        if self.form == "jsonl":
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows)
        return csv_text(self.columns, self.rows, self.delimiter)


def read_table(text: str, name: str = "") -> Table:
    """The rows of a file or a pipe; its name or its first line tells the form.

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
    columns, found = read_csv(io.StringIO(text, newline=""), delimiter or ",")
    rows: list[Row] = []
    for *_, row in found:
        if isinstance(row, UsageError):
            raise row
        rows.append(row)
    return Table(rows, tuple(columns), "csv", delimiter or ",")
