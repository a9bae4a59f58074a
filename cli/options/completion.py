"""Shell completion from lists and directory listings; no model file is opened."""

from __future__ import annotations

import glob
import io
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from itertools import pairwise

_JUDGES = ("probe", "self", "none")


def models(incomplete: str) -> list[str]:
    """Names of the catalogue, what Ollama, LM Studio and llama.cpp keep, and GGUF files."""
    from adascale.models.files.catalog import catalog
    from adascale.models.files.stores import listing

    names = [*catalog(), *map(str, listing())]
    return [*beginning(names, incomplete), *_files(incomplete, ".gguf")]


def judges(incomplete: str) -> list[str]:
    """Values of ``--prm``."""
    return [*beginning(_JUDGES, incomplete), *models(incomplete)]


def calibrations(incomplete: str) -> list[str]:
    """Values of ``--calibration``."""
    return [*beginning(("auto", "none"), incomplete), *_files(incomplete, ".safetensors")]


def traces(incomplete: str) -> list[str]:
    """Kept runs, the newest first, and files of traces."""
    return [*runs(incomplete), *_files(incomplete, ".jsonl")]


def runs(incomplete: str) -> list[str]:
    """Kept runs, the newest first."""
    from ..disk.history import past_runs, run_name

    return beginning(map(run_name, past_runs()), incomplete)


def beginning(names: Iterable[str], incomplete: str) -> list[str]:
    """The names that begin with ``incomplete``."""
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str, suffix: str) -> list[str]:
    """Files with a suffix, and folders, whose path begins with ``incomplete``."""
    found = sorted(glob.glob(glob.escape(incomplete) + "*"))
    folders = [name + os.sep for name in found if os.path.isdir(name)]
    return [*(name for name in found if name.endswith(suffix) and os.path.isfile(name)), *folders]


@contextmanager
def whole_words() -> Iterator[None]:
    """In bash, which splits words at colons, complete them as a whole and print only the missing part.

    bash passes ``ollama:qw`` as the three words ``ollama``, ``:`` and ``qw``, and replaces only the last one
    by a completion. Typer, and click below it, would complete ``qw`` as a question.
    """
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
