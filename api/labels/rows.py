"""Rows of a file as they stand: CSV with any delimiter, JSON Lines, or a text a line; and the same with more.

Every column and every row keeps its place; columns that are added come last.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

from adascale.engine.errors import UsageError

Row = Mapping[str, Any]

_DELIMITERS = ",;\t|"
_LARGEST_CELL = 64 << 20
"""Characters of a cell; the ``csv`` module stops at 131,072 by itself."""
_LONGEST_HEADER = 1 << 20
"""Characters in which the header of a CSV ends."""

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
        lines: list[str] = []
        # Cells with a character of the line's end are quoted, and with no other line break.
        writer = csv.writer(
            SimpleNamespace(write=lines.append), delimiter=self.delimiter, lineterminator="\r\n"
        )
        writer.writerow(self.columns)
        for row in self.rows:
            writer.writerow(["" if row.get(name) is None else row[name] for name in self.columns])
        return "".join(line.removesuffix("\r\n") + "\n" for line in lines)


def read_table(text: str, name: str = "") -> Table:
    """The rows of a file or a pipe; its name or its first line tells the form.

    Raises:
        UsageError: it is empty, a line is no row, or the header names a column twice.
    """
    if not text.strip():
        raise UsageError("there are no rows", hint="a CSV with a header, JSON Lines, or a text a line")
    if name.endswith((".jsonl", ".ndjson")) or text.lstrip().startswith("{"):
        objects = list(_objects(text.split("\n")))
        return Table(objects, tuple(dict.fromkeys(key for row in objects for key in row)), "jsonl")
    first = re.sub('"[^"]*"', "", text.lstrip()[:_LONGEST_HEADER]).split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    if delimiter not in first and not name.endswith((".csv", ".tsv")):
        lines = (line.rstrip("\r") for line in text.split("\n"))
        return Table([{TEXT: line} for line in lines if line.strip()], (TEXT,))
    csv.field_size_limit(_LARGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = tuple(next(filter(None, reader)))
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise UsageError(f"the header has {', '.join(twice)} twice", "every column needs a name of its own")
    try:
        return Table([*_cells(reader, columns)], columns, "csv", delimiter)
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num} is no line of a CSV: {error}") from error


def _cells(reader: Any, columns: tuple[str, ...]) -> Iterator[Row]:
    for cells in reader:
        if len(cells) > len(columns):
            raise UsageError(
                f"line {reader.line_num} has {len(cells)} cells, the header {len(columns)}",
                "a cell with the delimiter in it needs quotes",
            )
        if cells:
            yield dict(zip(columns, [*cells, *[""] * (len(columns) - len(cells))], strict=True))


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"line {number} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise UsageError(f"line {number} is no object", hint='{"text": "Where is my card?"}')
        yield row
