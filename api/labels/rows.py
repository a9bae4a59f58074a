"""Rows of a file as they stand: CSV with any delimiter, JSON Lines, or a line each; and what is written beside.

Every column and every row keeps its place; the added columns come last. A record that is written is whole, so
a file that a kill has torn ends in a part of one record, which ``whole_records`` leaves out.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from adascale.engine.errors import UsageError

Row = Mapping[str, Any]

_SNIFFED = 65_536
"""Characters by which a dialect is told."""
_DELIMITERS = ",;\t|"
_LARGEST_CELL = 16 << 20
"""Characters of a cell; the ``csv`` module stops at 131,072 unless it is told."""
TEXT = "text"
"""Column of the rows of a file that has a line each."""


@dataclass(frozen=True, slots=True)
class Table:
    """How rows are written.

    Attributes:
        form: CSV with a header, JSON Lines, or a text a line.
        columns: Names of the columns of a CSV, in their order; those of the first row otherwise.
        delimiter: Between two cells of a CSV.
    """

    form: Literal["csv", "jsonl", "lines"]
    columns: tuple[str, ...]
    delimiter: str = ","

    def with_columns(self, added: Sequence[str]) -> Table:
        """The table with columns behind its own; lines of text become a CSV."""
        form: Literal["csv", "jsonl"] = "jsonl" if self.form == "jsonl" else "csv"
        return Table(form, (*self.columns, *(name for name in added if name not in self.columns)), self.delimiter)

    def header(self) -> str:
        """The first line of a file; empty where there is none."""
        return self._line(self.columns) if self.form == "csv" else ""

    def record(self, row: Row) -> str:
        """A row as a whole record, with its line end."""
        if self.form == "jsonl":
            return json.dumps(row, ensure_ascii=False) + "\n"
        return self._line(["" if row.get(name) is None else str(row[name]) for name in self.columns])

    def _line(self, cells: Iterable[str]) -> str:
        line = io.StringIO()
        csv.writer(line, delimiter=self.delimiter, lineterminator="\n").writerow(cells)
        return line.getvalue()


@dataclass(slots=True)
class Rows:
    """Rows that are read one by one.

    Attributes:
        table: How they are written.
        rows: The rows.
    """

    table: Table
    rows: Iterator[Row] = field(repr=False)


def read_rows(text: io.TextIOBase, name: str = "") -> Rows:
    """The rows of a file or a pipe, whose form its name or its first line tells.

    Raises:
        UsageError: it is empty, its header names a column twice, or a row has more cells than the header.
    """
    start = text.read(_SNIFFED)
    if not start.strip():
        raise UsageError("there are no rows", hint="a CSV with a header, JSON Lines, or a text a line")
    lines = _lines(start, text)
    if name.endswith((".jsonl", ".ndjson")) or start.lstrip().startswith("{"):
        objects = _objects(lines)
        first = next(objects)
        return Rows(Table("jsonl", tuple(first)), _chained(first, objects))
    delimiter = "\t" if name.endswith(".tsv") else _delimiter(start)
    if delimiter is None and not name.endswith(".csv"):
        return Rows(Table("lines", (TEXT,)), ({TEXT: line.rstrip("\r\n")} for line in lines if line.strip()))
    csv.field_size_limit(_LARGEST_CELL)
    reader = csv.reader(lines, delimiter=delimiter or ",")
    columns = tuple(next(reader))
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise UsageError(f"the header has {', '.join(twice)} twice", "every column needs a name of its own")
    return Rows(Table("csv", columns, delimiter or ","), _cells(reader, columns))


def _lines(start: str, rest: io.TextIOBase) -> Iterator[str]:
    """Lines with their ends; the first part was read already."""
    *whole, last = start.splitlines(keepends=True)
    yield from whole
    if not last.endswith("\n"):
        last += rest.readline()
    yield last
    yield from rest


def _delimiter(start: str) -> str | None:
    """The delimiter of a CSV; None where the first line has none."""
    first = start.splitlines()[0]
    if not any(each in first for each in _DELIMITERS):
        return None
    try:
        return csv.Sniffer().sniff(start, _DELIMITERS).delimiter
    except csv.Error:
        return max(_DELIMITERS, key=first.count)


def _cells(reader: Any, columns: tuple[str, ...]) -> Iterator[Row]:
    for cells in reader:
        if not cells:
            continue
        if len(cells) > len(columns):
            raise UsageError(
                f"line {reader.line_num} has {len(cells)} cells, the header {len(columns)}",
                "a cell with the delimiter in it needs quotes",
            )
        yield dict(zip(columns, [*cells, *[""] * (len(columns) - len(cells))], strict=True))


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            read = json.loads(line)
        except ValueError as error:
            raise UsageError(f"line {number} is no JSON: {error}") from error
        if not isinstance(read, dict):
            raise UsageError(f"line {number} is no object", hint='{"text": "Where is my card?"}')
        yield read


def _chained(first: Row, others: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from others


def whole_records(text: str, table: Table) -> int:
    """Number of records in the beginning of an output that a kill may have torn; the header is none."""
    if table.form == "jsonl":
        return text.count("\n")
    whole, quoted = 0, False
    for line in text.splitlines(keepends=True):
        quoted ^= line.count('"') % 2 == 1
        whole += not quoted and line.endswith("\n")
    return max(0, whole - 1)
