"""JSON as the commands write it: a line that survives any reader, an object that people read too."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .console import write_payload


def json_line(data: Mapping[str, Any]) -> str:
    """One line of pure ASCII without its newline: safe for any encoding, terminal and line splitter.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


def write_json(data: Mapping[str, Any]) -> None:
    """Write one object to stdout: indented on a terminal, one line in a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    write_payload(json.dumps(data, ensure_ascii=False, allow_nan=False, indent=indent))


def write_json_lines(records: Iterable[Mapping[str, Any]]) -> None:
    """Write one object a line to stdout."""
    write_payload("\n".join(json.dumps(record, ensure_ascii=False, allow_nan=False) for record in records))
