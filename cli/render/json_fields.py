"""An answer in JSON on a terminal: a field a line, doubtful ones marked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from adascale.engine.types import DOUBTFUL, FieldEstimate

from ..terminal.console import JSON_ESCAPES
from ..terminal.text import percent
from ..terminal.theme import STYLES

_INDENT = "  "

Fields = Mapping[str, FieldEstimate]


def json_lines(answer: str, fields: Fields) -> list[Text]:
    """The lines of an object; behind a doubtful field stands how likely it is to be correct."""
    return list(_object_lines(json.loads(answer), fields, "", 0))


def doubts(fields: Fields) -> list[str]:
    """``city 45 %``, for example: each doubtful field, the least likely first."""
    doubtful = [(name, each.probability) for name, each in fields.items() if each.probability < DOUBTFUL]
    return [f"{name} {percent(p)}".strip() for name, p in sorted(doubtful, key=lambda each: each[1])]


def _object_lines(value: Mapping[str, Any], fields: Fields, place: str, depth: int) -> Iterator[Text]:
    yield Text("{")
    for at, (name, item) in enumerate(value.items(), 1):
        lead, comma = f"{_INDENT * (depth + 1)}{_json(name)}: ", "," if at < len(value) else ""
        if isinstance(item, dict) and item:
            first, *others = _object_lines(item, fields, f"{place}{name}.", depth + 1)
            lines = [Text(lead) + first, *others]
            lines[-1].append(comma)
            yield from lines
        else:
            yield _field_line(f"{lead}{_json(item)}{comma}", fields.get(f"{place}{name}"))
    yield Text(f"{_INDENT * depth}}}")


def _field_line(text: str, found: FieldEstimate | None) -> Text:
    if found is None or found.probability >= DOUBTFUL:
        return Text(text)
    return Text(f"{text}  ? {percent(found.probability)}", STYLES["low"])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).translate(JSON_ESCAPES)
