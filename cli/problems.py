"""Questions from files and pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adascale.engine.errors import AdascaleError, UsageError
from adascale.engine.types import Problem

from .stdin import decode, read_stdin


def read_problems(source: str) -> tuple[list[Problem], list[tuple[Problem, AdascaleError]]]:
    """Problems of a file or stdin, and lines that are none, each with its error.

    Raises:
        UsageError: the file cannot be read or holds no question.
    """
    if source == "-":
        if sys.stdin.isatty():
            raise UsageError("no file given and nothing is piped in", hint="adascale batch questions.txt")
        text = read_stdin()
    else:
        try:
            text = decode(Path(source).read_bytes(), source)
        except OSError as exc:
            raise UsageError(f"{source} cannot be read: {exc.strerror or exc}") from exc
    problems: list[Problem] = []
    bad: list[tuple[Problem, AdascaleError]] = []
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            problem = _problem(number, line.strip(), seen)
        except UsageError as error:
            bad.append((Problem(str(number), line.strip(), meta={"line": number}), error))
        else:
            problems.append(problem)
    if not problems and not bad:
        raise UsageError(f"{'stdin' if source == '-' else source} holds no question")
    return problems, bad


def _problem(number: int, line: str, seen: set[str]) -> Problem:
    data: dict[str, Any] = {"question": line}
    if line.startswith("{"):
        try:
            data = json.loads(line)
        except ValueError as exc:
            raise UsageError(f"line {number} is not valid JSON: {exc}", slug="bad-line") from exc
    question = data.get("question")
    if not isinstance(question, str) or not question.strip():
        raise UsageError(f'line {number} has no text in its field "question"', slug="bad-line")
    id_ = str(data.get("id", number))
    if id_ in seen:
        raise UsageError(f'line {number} repeats the id "{id_}"', slug="bad-line")
    seen.add(id_)
    answer = data.get("answer")
    meta = {"line": number, **{k: v for k, v in data.items() if k not in ("id", "question", "answer")}}
    return Problem(id_, question.strip(), str(answer) if answer is not None else None, meta)


def read_known(sources: Sequence[Path]) -> list[list[Problem]]:
    """Questions of each file, all with a known answer; an id that an earlier one has gets its file in front.

    A question that stands there twice is one question: copies would sit on both sides of a split.

    Raises:
        UsageError: a file cannot be read, or one of its lines is no question with an answer.
    """
    files: list[list[Problem]] = []
    taken, asked = set[str](), set[str]()
    for source in sources:
        problems, bad = read_problems(str(source))
        if bad:
            raise UsageError(f"{source.name}: {bad[0][1].message}", hint="mend or remove the line")
        for problem in problems:
            if problem.answer is None:
                raise UsageError(
                    f'{source.name}: line {problem.meta["line"]} has no field "answer"',
                    "a calibration learns from whether answers are right",
                )
        files.append([])
        for problem in problems:
            if problem.question not in asked:
                named = _named_apart(problem, source.stem, taken)
                files[-1].append(named)
                taken.add(named.id)
                asked.add(problem.question)
    return files


def _named_apart(problem: Problem, name: str, taken: set[str]) -> Problem:
    id_ = problem.id
    while id_ in taken:
        id_ = f"{name}:{id_}"
    return replace(problem, id=id_)
