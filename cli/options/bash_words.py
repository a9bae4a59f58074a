"""Words with colons for bash, which splits words at them (``COMP_WORDBREAKS``) before it asks.

``ollama:qw`` comes as the three words ``ollama``, ``:`` and ``qw``, and a completion takes the place of the
last one alone. Typer would complete ``qw``, as if it were a question.
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
    """Where bash asks, let Typer complete whole words, and print of each completion what bash has to add."""
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
    """The words of a line, whose last quote may be open."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words


def _join_at_colons(words: Sequence[str]) -> list[str]:
    """Words with those joined that bash has split; a new word, which is empty, stays one."""
    joined = [words[0]]
    for before, word in pairwise(words):
        if word and (_is_break(word) or _is_break(before)):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _is_break(word: str) -> bool:
    return bool(word) and not word.strip(":")
