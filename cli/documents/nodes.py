"""A tree as one JSON object (``adascale.tree/1``): a flat list of nodes, parents before children."""

from __future__ import annotations

from typing import Any

from adascale.engine.codec import to_plain
from adascale.engine.search.tree import Node, Tree
from adascale.engine.types import Mode

from ..render.rows import Row, all_rows
from ..report.answer import answer_of
from ..terminal.console import json_line
from ..terminal.theme import Mark
from .document import Document

SCHEMA = "adascale.tree/1"

_STATES: dict[Mark, str] = {
    "expanded": "expanded",
    "running": "running",
    "waiting": "open",
    "finished": "finished",
    "failed": "finished",
    "best": "finished",
    "pruned": "pruned",
}


def to_json(document: Document) -> str:
    """The whole tree; unknown values are null, never missing."""
    view, rows = document.view, all_rows(document.view)
    answers = {candidate.node: candidate.answer for candidate in view.candidates}
    nodes = [_node(row, document) | {"answer": answers.get(row.node) if row.node else None} for row in rows]
    return json_line(
        {
            "schema": SCHEMA,
            "question": document.question,
            "answer": answer_of(view),
            "outcome": document.outcome,
            "why": document.why or None,
            "facts": dict(document.facts()),
            "nodes": nodes,
        }
    )


def _node(row: Row, document: Document) -> dict[str, Any]:
    """The JSON object of one node or running branch."""
    tree: Tree = document.view.tree
    node = None if row.node is None else tree[row.node]
    estimate = row.estimate
    known = estimate is not None and estimate.calibrated
    return {
        "id": row.label,
        "parent": row.label.rpartition(".")[0] if row.label else None,
        "depth": len(row.lasts),
        "mode": _mode(row, node, "code" if tree.problem.kind == "code" else "program"),
        "text": document.question if node is not None and node.step is None else row.text,
        **({"thought": node.step.thought} if node is not None and node.step and node.step.thought else {}),
        "execution": to_plain(node.execution) if node is not None else None,
        "tokens": row.tokens,
        "reward": node.reward if node else None,
        "p": estimate.median if estimate and known else None,
        "lo": estimate.lower if estimate and known else None,
        "hi": estimate.upper if estimate and known else None,
        "score": estimate.median if estimate and not known else None,
        "granted": document.view.granted.get(row.node, 0) if row.node is not None else 0,
        "made": document.view.drawn_from(node) if node is not None else 0,
        "state": _STATES[row.mark] if row.mark else None,
        "why": row.why or None,
        "best": row.best,
        "t": document.proposed_at.get(row.node) if row.node is not None else None,
    }


def _mode(row: Row, node: Node | None, writing: Mode) -> Mode | None:
    """Mode of a node, or of a running branch, whose programs have the mode ``writing``; None for the root."""
    if node is None:
        return "prose" if row.program is None else writing
    return None if node.step is None else node.mode
