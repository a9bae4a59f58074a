"""A tree as one web page: it folds, it can be searched, and it loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from adascale.engine.answers.latex import readable
from adascale.engine.types import ROOT, Estimate, NodeId

from ..render.rows import Row, all_rows, subtree_nodes, thought_line
from ..render.summary import backing, interval_text, steps_text
from ..terminal.console import clean
from ..terminal.prose import html, plain
from ..terminal.text import cut, one_line, plural
from ..terminal.theme import UNICODE, Mark, level
from .document import Document

_MARK_NAMES: dict[Mark, str] = {
    "expanded": "goes on",
    "running": "being written",
    "waiting": "left open",
    "finished": "finished",
    "failed": "failed",
    "best": "chosen",
    "pruned": "cut",
}

_LABEL = 60
"""Characters of a step or question in one line."""

_ENDS = 5
"""Maximum number of answers that a closed fold names."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A browser loads nothing and runs nothing for the page, whatever a model wrote into it."""

_FOLDS = """
ol { list-style: none; margin: 0; padding: 0; }
ol ol { margin-left: .4rem; padding-left: .7rem; border-left: 2px solid var(--line); }
details > ol { margin: 0; padding: 0; border: 0; }
summary { cursor: pointer; padding: .2rem .3rem; overflow-wrap: anywhere; }
summary:hover { background: var(--box); }
@media (max-width: 40rem) { ol ol { margin-left: 0; padding-left: .3rem; } }
"""
"""Style of folds; everything else has that of the server's page."""


def to_html(document: Document) -> str:
    """The page. Steps that follow one another stand in one list; each fork opens a list of branches."""
    view = document.view
    style = files("adascale.serve.page").joinpath("tree.css").read_text(encoding="utf-8") + _FOLDS
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_as_html(document.question[:_LABEL])} - adascale</title>",
        f"<style>{style}</style></head><body><main>",
        f"<h1>{_as_html(document.question)}</h1>",
        f'<p class="answer"><strong>{_as_html(document.outcome)}</strong></p>',
        *([f"<p>{_as_html(document.why)}</p>"] if document.why else []),
        "<dl>",
        *(f"<dt>{_as_html(name)}</dt><dd>{_as_html(value)}</dd>" for name, value in document.facts()),
        "</dl>",
        *_answers(document),
        f"<h2>{steps_text(view)}</h2>",
        "<p>A bar is the estimate that a solution with this step is correct.</p>",
        *_Tree(document).lines(),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _answers(document: Document) -> Iterator[str]:
    """The answers, the leading one first, with the solutions that have each."""
    groups = document.view.groups
    if not groups:
        return
    yield "<h2>Answers</h2><ol>"
    for group in groups:
        facts = f"{plural(len(group.nodes), 'solution')}, best {backing(document.view, group)}"
        yield f'<li class="step"><strong>{_as_html(group.answer)}</strong> <span>{facts}</span></li>'
    yield "</ol>"


class _Tree:
    """Nested lists, made with a stack: a chain may be longer than Python or a browser nests."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._tree = document.view.tree
        rows = all_rows(document.view)
        self._rows: dict[NodeId, Row] = {row.node: row for row in rows if row.node is not None}
        self._running: dict[str, list[Row]] = {}
        for row in rows:
            if row.node is None:
                self._running.setdefault(row.label.rpartition(".")[0], []).append(row)

    def lines(self) -> Iterator[str]:
        """The whole tree, question first."""
        stack: list[NodeId | str] = [ROOT]
        yield "<ol>"
        while stack:
            item = stack.pop()
            if isinstance(item, str):
                yield item
                continue
            end = item
            yield self._step(end)
            while len(below := self._tree.children(end)) == 1 and not self._running_below(end):
                [end] = below
                yield self._step(end)
            stack += reversed(list(self._branches(end, below)))
        yield "</ol>"

    def _running_below(self, node: NodeId) -> list[Row]:
        return self._running.get(self._rows[node].label, [])

    def _branches(self, node: NodeId, children: tuple[NodeId, ...] | list[NodeId]) -> Iterator[NodeId | str]:
        """Yield tags, and the nodes below a fork, which open a list of their own."""
        running = self._running_below(node)
        if not children and not running:
            return
        yield "<li><ol>"
        for child in children:
            yield f"<li><details{' open' if self._rows[child].best else ''}>"
            yield f"<summary>{self._summary(child)}</summary><ol>"
            yield child
            yield "</ol></details></li>"
        for row in running:
            yield f'<li class="step">{_number(row)} {_faint("being written")}{_text(row)}</li>'
        yield "</ol></li>"

    def _step(self, node: NodeId) -> str:
        """One step: its label, estimate, answer, facts and whole text."""
        row = self._rows[node]
        words = "the question" if node == ROOT else _MARK_NAMES[row.mark] if row.mark else ""
        if reason := self._document.view.reasons.get(node):
            words = f"{row.count}: {reason}"
        classes = "step" + (" best" if row.best else "") + (" pruned" if row.mark == "pruned" else "")
        proposed_at = self._document.proposed_at.get(node)
        facts = [words, *(["program"] if row.program else [])]
        facts += [plural(row.tokens, "token")] if row.tokens else []
        facts += [f"{proposed_at:.1f} s"] if proposed_at is not None else []
        answer = f" <strong>{_as_html(row.count)}</strong>" if row.count.startswith("=") else ""
        return (
            f'<li class="{classes}">{_number(row)}{_estimate(row.estimate)}{answer}'
            f' <span class="words">{_as_html(", ".join(facts))}</span>'
            f"{_text(row, self._document.question)}</li>"
        )

    def _summary(self, child: NodeId) -> str:
        """Summary of a fold: its first step, its answers and size."""
        row, below = self._rows[child], subtree_nodes(self._tree, [child])
        mark = UNICODE.marks["best" if row.best else row.mark or "expanded"]
        text = thought_line(row) if row.thought else plain(row.text)
        if row.program is not None:
            text = row.program.single_line
        text = cut(one_line(text, UNICODE), _LABEL, UNICODE)
        ends = {self._rows[node.id].count for node in below if node.status == "terminal"}
        leads = [end for end in sorted(ends) if end][:_ENDS]
        facts = [*leads, *(["cut"] if row.mark == "pruned" else []), plural(len(below), "step")]
        return f"{mark} {_number(row)}{_estimate(row.estimate)} {_as_html(text)} {_faint(', '.join(facts))}"


def _text(row: Row, question: str = "") -> str:
    """The whole text of a step, the question at the root, or the code of a program and what it printed."""
    if row.thought:
        return f"<details><summary>{thought_line(row)}</summary><pre>{html(row.text.strip())}</pre></details>"
    if row.program is None:
        return f"<pre>{html((question if row.node == ROOT else row.text).strip())}</pre>"
    program = row.program
    ran = f"{UNICODE.arrow} {program.output}" if program.output else ""
    style = "ran failed" if program.failed else "ran"
    output = f'<pre class="{style}">{escape(clean(ran))}</pre>' if ran else ""
    return f'<pre class="code">{escape(clean(program.code))}</pre>{output}'


def _number(row: Row) -> str:
    return f'<span class="label">{row.label}</span> ' if row.label else ""


def _faint(text: str) -> str:
    return f'<span class="words">{_as_html(text)}</span>'


def _estimate(estimate: Estimate | None) -> str:
    """A bar and the number in words; coloured if it is a probability."""
    if estimate is None:
        return ""
    value = estimate.median
    bar = f'<span class="bar" aria-hidden="true"><i style="width:{round(100 * value)}%"></i></span>'
    return f'<span class="p {level(estimate) or ""}">{bar} {_as_html(interval_text(estimate))}</span>'


def _as_html(text: str) -> str:
    return escape(clean(readable(text)))
