"""A tree as a Mermaid flowchart, folded to what pages with Mermaid accept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adascale.engine.answers.latex import readable

from ..render.rows import Row, tree_rows
from ..render.summary import interval_text
from ..terminal.prose import plain
from ..terminal.text import one_line, plural
from ..terminal.theme import UNICODE, Level, level
from .document import LABEL, Document, brief_text

MERMAID_ROWS = 120
"""Its pages stop at 500 edges and 50,000 characters unless their owner says otherwise."""

_COLOURS: dict[Level, str] = {"high": "#d7efdc", "middle": "#fbf0c9", "low": "#f8d9d5"}
_PLAIN = "#ffffff"

_IN_TITLES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " | ", "<": "\u2039", ">": "\u203a"})


def to_mermaid(document: Document) -> str:
    """A flowchart that GitHub and GitLab draw inside Markdown; a large tree is folded."""
    rows = tree_rows(document.view, MERMAID_ROWS)
    lines = ["---", f"title: {_yaml_string(_title(document))}", "---", "flowchart TD"]
    if len(rows) < len(document.view.tree):
        lines.append(f"  %% folded: {len(rows)} boxes for {plural(len(document.view.tree), 'node')}")
    for at, row in enumerate(rows):
        text = "<br/>".join(_escape(part) for part in _box_lines(row, document))
        lines.append(f'  n{at}["{text}"]')
    lines += [f"  n{parent} {'==>' if rows[at].best else '-->'} n{at}" for parent, at in _edges(rows)]
    for colour in (*_COLOURS.values(), _PLAIN):
        filled = [f"n{at}" for at, row in enumerate(rows) if _colour(row) == colour]
        if filled:
            name = f"c{colour[1:]}"
            lines += [f"  classDef {name} fill:{colour},stroke:#666,color:#111"]
            lines += [f"  class {','.join(filled)} {name}"]
    return "\n".join(lines)


def _title(document: Document) -> str:
    facts = " | ".join(f"{name} {value}" for name, value in document.facts())
    return f"{_shorten(one_line(plain(document.question), UNICODE))}\n{document.outcome}\n{facts}"


def _box_lines(row: Row, document: Document) -> list[str]:
    """Lines of a box: mark and label, text, what a program printed, estimate, count, and why it was cut."""
    mark = UNICODE.marks[row.mark] if row.mark else UNICODE.ellipsis
    parts = [f"{mark} {row.label}".strip(), _shorten(brief_text(row)) or "…"]
    ran = row.program is not None and row.program.outcome
    said = (
        f"{UNICODE.arrow} {_shorten(one_line(ran, UNICODE))}" if ran else "",
        interval_text(row.estimate),
        *(one_line(readable(text), UNICODE) for text in (row.count, row.why)),
    )
    parts += [part for part in said if part]
    return parts


def _shorten(line: str) -> str:
    return line if len(line) <= LABEL else line[:LABEL].rstrip() + "..."


def _edges(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Pairs of row numbers; the last row seen one level up is the parent."""
    above: dict[int, int] = {}
    for at, row in enumerate(rows):
        depth = len(row.lasts)
        above[depth] = at
        if depth:
            yield above.get(depth - 1, 0), at


def _colour(row: Row) -> str:
    found = level(row.estimate)
    return _COLOURS[found] if found else _PLAIN


def _yaml_string(text: str) -> str:
    """A YAML string in double quotes, on one line; a title has no entities, so its tags are no tags."""
    return f'"{text.translate(_IN_TITLES)}"'


def _escape(text: str) -> str:
    """The text with entities for what Mermaid reads inside double quotes as an entity, HTML or Markdown."""
    special = '#"&<>`*_[]{}()\\|~$'
    return "".join(f"#{ord(c)};" if c in special else c for c in text)
