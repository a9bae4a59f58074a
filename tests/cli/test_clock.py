"""A wall clock that jumps changes no answer and ends no wait: nothing but dates is read from it."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]

STAMPS = {
    "api/serve/app.py", "api/serve/ollama.py", "api/serve/stream.py",
    "cli/disk/runs.py", "models/fallback.py",
}  # fmt: skip
"""Files that say when something was made, and the one that counts calls by the day."""


def test_nothing_but_a_date_reads_the_wall_clock() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("api", "cli", "engine", "models")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("time.time", "time.time_ns", "datetime.now", "datetime.datetime.now")
    }
    assert found == STAMPS
