"""Completes words with colons in bash, which splits them at colons (``COMP_WORDBREAKS``).

bash passes ``ollama:qw`` as the three words ``ollama``, ``:`` and ``qw``, and replaces only the last one by a
completion. Typer, and click below it, would complete ``qw`` as a question.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from itertools import pairwise


@contextmanager
def whole_words() -> Iterator[None]:
    """In bash, complete words with colons as a whole and print only the missing part."""
    if os.environ.get("_ADASCALE_COMPLETE") != "complete_bash":
        yield
        return
    at = int(os.environ["COMP_CWORD"])
    typed = [*_split(os.environ["COMP_WORDS"]), ""][: at + 1]
    words = _join_at_colons(typed)
    os.environ |= {"COMP_WORDS": shlex.join(words), "COMP_CWORD": str(len(words) - 1)}
    head = words[-1].removesuffix("" if _is_break(typed[-1]) else typed[-1])
    completions = io.StringIO()
    try:
        with redirect_stdout(completions):
            yield
    finally:
        lines = completions.getvalue().splitlines(keepends=True)
        sys.stdout.writelines(line.removeprefix(head) for line in lines)


def _split(line: str) -> list[str]:
    """The words of a line; its last quote may still be open."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words


def _join_at_colons(words: Sequence[str]) -> list[str]:
    """The words, joined where bash has split them at colons; an empty new word stays a word."""
    joined = [words[0]]
    for before, word in pairwise(words):
        if word and (_is_break(word) or _is_break(before)):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _is_break(word: str) -> bool:
    return bool(word) and not word.strip(":")
