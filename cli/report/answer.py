"""The payload of one answered question, as ``ask`` and ``replay`` write it to stdout."""

from __future__ import annotations

from adascale.engine.answers.latex import readable
from adascale.engine.search.tree import Tree
from adascale.engine.types import SearchResult

from ..terminal.prose import plain


def solution_text(tree: Tree, result: SearchResult) -> str:
    """The solution that is shown; empty when no trajectory finished."""
    return "" if result.best is None else tree.text(result.best).strip()


def answer_payload(tree: Tree, result: SearchResult, extract: bool) -> str:
    """The solution as a person reads it and ``Answer: 18``; with ``extract`` the answer alone.

    Empty when there is none.
    """
    answer = "" if result.answer is None else result.answer
    if extract:
        return answer
    parts = [plain(solution_text(tree, result)), f"Answer: {readable(answer)}" if answer else ""]
    return "\n".join(part for part in parts if part)
