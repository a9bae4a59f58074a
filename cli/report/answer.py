"""The payload of one answered question, as ``ask`` and ``replay`` write it to stdout."""

from __future__ import annotations

from adascale.engine.answers.latex import readable
from adascale.engine.search.record import Record

from ..terminal.prose import plain


def solution_text(record: Record) -> str:
    """The solution that is shown; empty when no trajectory finished."""
    best = record.result.best if record.result is not None else None
    return "" if best is None else record.tree.text(best).strip()


def answer_payload(record: Record, extract: bool) -> str:
    """The solution as a person reads it and ``Answer: 18``; with ``extract`` the answer alone.

    Empty when there is none.
    """
    answer = (record.result.answer if record.result is not None else None) or ""
    if extract:
        return answer
    parts = [plain(solution_text(record)), f"Answer: {readable(answer)}" if answer else ""]
    return "\n".join(part for part in parts if part)
