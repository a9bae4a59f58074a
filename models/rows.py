"""Rows of files: JSON objects, one a line, and CSV with a header and any delimiter."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from adascale.engine.codec import nesting
from adascale.engine.errors import UsageError

_DELIMITERS = ",;\t|"
_LONGEST_HEADER = 1 << 20
"""Characters in which the header of a CSV ends."""
_LARGEST_CELL = 64 << 20
"""Characters of a cell; the ``csv`` module stops at 131,072 by itself."""
_DEEPEST = 64
"""Levels of objects and lists in a record; it is copied and written by functions that call themselves."""

Cells = dict[str, Any]
Row = tuple[int, str, Cells | UsageError]
"""Number of its first line, its text, and its cells by column or the reason why it has none."""


def bad_line(number: int, why: str, *facts: str, hint: str = "") -> UsageError:
    """The error of a line."""
    return UsageError(f"line {number} {why}", *facts, hint=hint, slug="bad-line")


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(parse_constant=lambda name: None, parse_float=_finite)
"""Reads NaN and Infinity, as Python and pandas write them, as null: a record could not carry them."""


def json_object(number: int, line: str) -> dict[str, Any]:
    """The object that a line has.

    Raises:
        UsageError: it is something else, or is nested too deeply.
    """
    if line.startswith("["):
        hint = "jq -c '.[]' rows.json > rows.jsonl"
        raise bad_line(number, "begins a JSON array; a record a line is read here", hint=hint)
    try:
        data = _DECODER.decode(line)
    except (ValueError, RecursionError) as exc:
        raise bad_line(number, f"is not valid JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise bad_line(number, "is no JSON object")
    if nesting(data) > _DEEPEST:
        raise bad_line(number, f"is nested more than {_DEEPEST} levels deep")
    return data


def delimiter_of(text: str) -> str:
    """The delimiter of a CSV by its header; empty if there is none in it."""
    header = re.sub('"[^"]*"', "", text.lstrip()[:_LONGEST_HEADER]).split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=header.count)
    return delimiter if delimiter in header else ""


def read_csv(lines: Iterable[str], delimiter: str) -> tuple[list[str], Iterator[Row]]:
    """The header of a CSV, and its rows as they come; one that does not fit the header is an error.

    Args:
        lines: Lines with their ends, which a cell in quotes may hold.
        delimiter: Between two cells.

    Raises:
        UsageError: the header is none, or has a name twice.
    """
    csv.field_size_limit(_LARGEST_CELL)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        columns = next(filter(None, reader), [])
    except csv.Error as error:
        raise bad_line(1, f"is no line of a CSV: {error}") from error
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise UsageError(f"the header has {', '.join(twice)} twice", "every column needs a name of its own")
    return columns, _rows(reader, columns)


def _rows(reader: Any, columns: Sequence[str]) -> Iterator[Row]:
    cells: list[str] | None = []
    while cells is not None:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield number, "", bad_line(number, f"is no line of a CSV: {error}")
            continue
        row: Cells | UsageError = dict.fromkeys(columns, "") | dict(zip(columns, cells or (), strict=False))
        if cells and len(cells) > len(columns):
            why = f"has {len(cells)} cells, the header {len(columns)}"
            row = bad_line(number, why, "a cell with the delimiter in it needs quotes")
        if cells:
            yield number, ",".join(cells), row


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], delimiter: str = ",") -> str:
    """Rows as a CSV with a header; None is an empty cell."""
    lines: list[str] = []
    # With this line end, and with no other, the csv module quotes every cell that has a part of one.
    writer = csv.writer(SimpleNamespace(write=lines.append), delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row.get(name) is None else row[name] for name in columns])
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines)
