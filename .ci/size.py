"""Print the size of the house by room, beside that of the last tag.

Code tokens are what Python's tokenizer sees without comments, docstrings, imports and layout: neither longer
lines nor fewer docstrings change them.

Usage: python .ci/size.py
"""

from __future__ import annotations

import ast
import io
import subprocess
import tarfile
import tokenize
from collections import Counter
from dataclasses import dataclass, field
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


@dataclass
class Size:
    """Sizes of a tree: modules, lines and code tokens by room, and words of its Markdown."""

    modules: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    words: int = 0

    def add(self, name: str, text: str) -> None:
        """Count a file."""
        if name.endswith(".md"):
            self.words += len(text.split())
        elif name.endswith(".py"):
            for room in rooms_of(name):
                self.modules[room] += 1
                self.lines[room] += text.count("\n")
                self.tokens[room] += code_tokens(text)


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


def git(*arguments: str) -> bytes:
    """Output of a git command; empty if it fails, as in a copy without history."""
    return subprocess.run(["git", *arguments], capture_output=True, check=False).stdout


def size_of_tag(tag: str) -> Size:
    """The size of the files that a tag has."""
    size = Size()
    with tarfile.open(fileobj=io.BytesIO(git("archive", tag))) as archive:
        for member in archive:
            if member.name.endswith((".py", ".md")) and (file := archive.extractfile(member)):
                size.add(member.name, file.read().decode())
    return size


def main() -> None:
    """Print a row for each room."""
    now = Size()
    for name in git("ls-files", "*.py", "*.md").decode().splitlines():
        if Path(name).is_file():
            now.add(name, Path(name).read_text(encoding="utf-8"))
    tag = git("describe", "--tags", "--abbrev=0").decode().strip()
    then = size_of_tag(tag) if tag else Size()
    print(f"{'room':<20}{'modules':>8}{'lines':>9}{'code tokens':>13}{tag and f'at {tag}':>13}")
    for room in sorted(now.tokens | then.tokens, key=lambda room: (room == "product", room)):
        before = f"{then.tokens[room]:>13,}" if tag else ""
        print(f"{room:<20}{now.modules[room]:>8}{now.lines[room]:>9,}{now.tokens[room]:>13,}{before}")
    print(f"words of Markdown: {now.words:,}{f', at {tag} {then.words:,}' if tag else ''}")


main()
