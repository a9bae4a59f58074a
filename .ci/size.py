"""Print the size of the house by room, and fail above the budget of ``budget.toml``.

Code tokens are what Python's tokenizer sees without comments, docstrings, imports and layout: neither longer
lines nor fewer docstrings change them.

Usage: python .ci/size.py
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from pathlib import Path

PRODUCT = {"api", "cli", "engine", "models"}
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def rooms_of(name: str) -> list[str]:
    """The room of a file, and the product if it belongs to it."""
    top, *inside = name.split("/")
    if top not in PRODUCT:
        return [top]
    return [f"{top}/{inside[0]}" if len(inside) > 1 else top, "product"]


def code_tokens(text: str) -> int:
    """Number of tokens without comments, docstrings, imports and layout."""
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Import | ast.ImportFrom) or (is_text and isinstance(node.value.value, str)):
            skipped.update(range(node.lineno, node.end_lineno + 1))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type not in LAYOUT and token.start[0] not in skipped for token in tokens)


def main() -> None:
    """Print a row for each room, then what is over the budget."""
    modules, lines, sizes = Counter[str](), Counter[str](), Counter[str]()
    listed = subprocess.run(["git", "ls-files", "*.py", "*.md"], capture_output=True, text=True, check=True)
    for path in filter(Path.is_file, map(Path, listed.stdout.splitlines())):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            sizes["words"] += len(text.split())
            continue
        for room in rooms_of(path.as_posix()):
            modules[room] += 1
            lines[room] += text.count("\n")
            sizes[room] += code_tokens(text)
    print(f"{'room':<20}{'modules':>8}{'lines':>9}{'code tokens':>13}")
    for room in sorted(modules, key=lambda room: (room == "product", room)):
        print(f"{room:<20}{modules[room]:>8}{lines[room]:>9,}{sizes[room]:>13,}")
    budget = tomllib.loads(Path(__file__).with_name("budget.toml").read_text())
    print(", ".join(f"{name} {sizes[name]:,} of {most:,}" for name, most in budget.items()))
    if over := [name for name, most in budget.items() if sizes[name] > most]:
        sys.exit(f"over the budget of .ci/budget.toml: {', '.join(over)}; take something out")


main()
