"""Questions from files and streams, read line by line; their ids are kept, and nothing else."""

from __future__ import annotations

import codecs
import hashlib
import json
import random
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, BinaryIO

from adascale.engine.codec import encodable
from adascale.engine.errors import UsageError, conversion_hint, excerpt, reason_of, setting
from adascale.engine.kinds import KINDS, kind_of, recognise
from adascale.engine.types import Problem

from .options import QuestionFormat
from .rows import Cells, Row, bad_line, delimiter_of, json_object, read_csv

_FIELD = "question"
_OWN = ("id", "answer")
_SHOWN = 200
"""Characters of a line that cannot be read that are kept."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no question.

    Attributes:
        number: From 1.
        text: Its first 200 characters.
        error: Why.
    """

    number: int
    text: str
    error: UsageError

    @property
    def id(self) -> str:
        """The id of its record."""
        return f"line-{self.number}"


def read_problems(
    source: Path | BinaryIO, form: QuestionFormat = "auto", field: str | None = None
) -> Iterator[Problem | BadLine]:
    """Questions of a file or an open stream; a line without one becomes a ``BadLine``, and ends nothing.

    JSON Lines, CSV with a header, or one question a line. ``id`` and ``answer`` are optional, a record
    with tests is a code task (``engine.kinds.recognise``), and every other field and the line number go into
    ``meta``. A question without an id is named by its text, so that it has the same id in any file; a second
    one like it gets ``-2``.

    Args:
        source: The questions.
        form: How they are written; ``auto`` goes by the name of the file, else by each line.
        field: The column with the question; None for ``question`` if there is no choice.

    Raises:
        UsageError: nothing can be read, it is in UTF-16, or a CSV file has no header with such a field.
    """
    form = _form_of(source, form)
    with _open(source) if isinstance(source, Path) else nullcontext(source) as stream:
        lines = _decode(stream)
        rows = _csv_rows(lines, field) if form == "csv" else _line_rows(lines, form, field or _FIELD)
        seen: dict[str, int] = {}
        for number, text, row in rows:
            raw = text.encode("utf-8", "surrogateescape")
            try:
                raw.decode("utf-8")
                if isinstance(row, UsageError):
                    raise row
                yield _make_problem(number, row or json_object(number, text), field, seen)
            except UnicodeDecodeError as exc:
                place = f"byte {exc.start} of it, 0x{raw[exc.start]:02x}"
                error = bad_line(number, f"is not UTF-8 ({place})", hint=conversion_hint(raw))
                yield BadLine(number, raw.decode("utf-8", "replace")[:_SHOWN], error)
            except UsageError as error:
                yield BadLine(number, text[:_SHOWN], error)


def count_lines(path: Path, form: QuestionFormat = "auto") -> int | None:
    """About how many questions a file holds, for a bar: lines are counted, not read.

    None for a pipe, and for a CSV, whose fields may hold line ends.

    Raises:
        UsageError: the file cannot be read.
    """
    if not path.is_file() or _form_of(path, form) == "csv":
        return None
    with _open(path) as stream:
        return sum(1 for line in stream if not line.isspace())


def _form_of(source: Path | BinaryIO, form: QuestionFormat) -> QuestionFormat:
    suffix = source.suffix.lower() if isinstance(source, Path) and form == "auto" else ""
    return "csv" if suffix == ".csv" else "jsonl" if suffix in (".jsonl", ".ndjson") else form


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        hint = f"ls -l {shlex.quote(str(path))} shows whether it is there, and who may read it"
        raise UsageError(f"cannot read {path}: {reason_of(error)}", hint=hint, slug="unreadable") from error


def _decode(stream: Iterable[bytes]) -> Iterator[str]:
    """Lines with their ends; bytes that are not UTF-8 become surrogates, by which their row is refused.

    Raises:
        UsageError: they are in UTF-16, as PowerShell on Windows writes files.
    """
    for number, raw in enumerate(stream):
        if not number and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UsageError("the questions are in UTF-16, not in UTF-8", hint=conversion_hint(raw))
        data = raw if number else raw.removeprefix(codecs.BOM_UTF8)
        yield data.decode("utf-8", "surrogateescape")


def _line_rows(lines: Iterable[str], form: QuestionFormat, field: str) -> Iterator[Row]:
    """Rows of a line; one of JSON has its text alone."""
    for number, line in enumerate(map(str.strip, lines), start=1):
        is_json = form == "jsonl" or (form == "auto" and (line == "[" or line.startswith(("{", "[{"))))
        if line:
            yield number, line, {} if is_json else {field: line}


def _csv_rows(lines: Iterator[str], field: str | None) -> Iterator[Row]:
    """Rows below the header; a field in quotes may hold line ends.

    Raises:
        UsageError: it is no CSV, or has no such field.
    """
    first = next(lines, "")
    header, rows = read_csv(chain([first], lines), delimiter_of(first) or ",")
    if (field or _FIELD) in header:
        return rows
    raise UsageError(
        f'the header has no field "{field or _FIELD}"',
        f"it has: {', '.join(header) or 'nothing'}",
        hint=_field_advice(field, header[0]) if header else "",
    )


def _field_advice(field: str | None, name: str) -> str:
    """Advice which field has the question, if one can be named."""
    return setting("field", name) if field is not None else f'name the field with the question "{_FIELD}"'


def _make_problem(number: int, row: Cells, field: str | None, seen: dict[str, int]) -> Problem:
    question_field, data = field or _FIELD, encodable({k: value for k, value in row.items() if value != ""})
    question = data.get(question_field, _last_message(data) if field is None else None)
    if not isinstance(question, str) or not question.strip():
        others = [name for name, value in data.items() if isinstance(value, str) and name not in _OWN]
        raise bad_line(
            number,
            f'has no text in its field "{question_field}"',
            *([f"it has: {', '.join(others)}"] if others else []),
            hint=_field_advice(field, others[0]) if others and question_field not in data else "",
        )
    name = data.get("id")
    id_ = _question_name(question.strip(), seen) if name is None else str(name)
    if id_ in seen:
        raise bad_line(number, f'repeats the id "{id_}"')
    seen[id_] = 1
    try:
        kind, details = recognise(question, data)
    except UsageError as error:
        error.message = f"line {number}: {error.message}"
        raise
    own = {*_OWN, "line", question_field, *KINDS[kind].fields}
    meta = {"line": number, **{k: v for k, v in data.items() if k not in own}}
    value = data.get("answer")
    answer = json.dumps(value) if isinstance(value, dict) else str("" if value is None else value)
    return Problem(
        id_, question.strip(), answer if answer.strip() else None, meta, kind=kind, details=details
    )


def _last_message(data: Mapping[str, Any]) -> str | None:
    """The text of the user's last message, of a record that has a conversation in place of a question."""
    messages = data.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return message["content"] if isinstance(message.get("content"), str) else None
    return None


def _question_name(question: str, seen: dict[str, int]) -> str:
    name = hashlib.sha256(question.encode("utf-8", "replace")).hexdigest()[:12]
    if name not in seen:
        return name
    seen[name] += 1
    return f"{name}-{seen[name]}"


# Sets of questions that a fit or an evaluation draws from, each question once


def read_known(sources: Sequence[Path]) -> list[list[Problem]]:
    """Problems of each file, each with its answer or tests.

    An id that occurred before is prefixed with its file's name. A question that occurs twice, with the
    same options or tools if it has any, is kept once: copies could land on both sides of a split.

    Raises:
        UsageError: a file cannot be read, holds no question, or has a line without a question and its answer,
            or with an answer that is none of its options.
    """
    files: list[list[Problem]] = []
    ids, statements = set[str](), set[str]()
    for source in sources:
        files.append([])
        problem = None
        for problem in _good_lines(source):
            _check_known(problem, source.name)
            statement = kind_of(problem).statement(kind_of(problem).for_search(problem))
            if statement not in statements:
                while problem.id in ids:
                    problem = replace(problem, id=f"{source.stem}:{problem.id}")
                files[-1].append(problem)
                ids.add(problem.id)
                statements.add(statement)
        if problem is None:
            hint = 'one on each line, such as {"question": "What is 17 * 23?", "answer": "391"}'
            raise UsageError(f"{source.name} holds no question", hint=hint)
    return files


def _check_known(problem: Problem, file: str) -> None:
    """Refuse a question without an answer, or with an answer that is none of the options."""
    kind, field = kind_of(problem), KINDS[problem.kind].judged_by
    line = f"{file}: line {problem.meta['line']}"
    if not kind.is_judged(problem):
        raise UsageError(
            f'{line} has nothing in its field "{field}"',
            "solutions are compared with known answers",
            hint=f'add it: {{"question": "...", "{field}": "..."}}, or remove the line',
        )
    options = kind.options(problem)
    if options and not any(kind.is_right(problem, option, None, None) for option in options):
        answer = excerpt(problem.answer or "", 40)
        raise UsageError(
            f'{line} has "{answer}" in its field "{field}", which is none of its options',
            f"they are: {excerpt(', '.join(options))}",
            hint="a letter, or the text of an option",
        )


def _good_lines(source: Path) -> Iterator[Problem]:
    try:
        for problem in read_problems(source):
            if isinstance(problem, BadLine):
                raise problem.error
            yield problem
    except UsageError as error:
        if error.slug != "unreadable":
            error.message = f"{source.name}: {error.message}"
            error.hint = error.hint or "mend or remove the line"
        raise


def choose_questions(files: Sequence[Sequence[Problem]], questions: int | None, seed: int) -> list[Problem]:
    """``number`` questions, spread evenly over the files and taken from each in turn.

    A larger number with the same seed contains a smaller one, so its draws are used again.
    """
    orders = [list(problems) for problems in files]
    for order in orders:
        random.Random(str(seed)).shuffle(order)
    turns = [each for turn in zip_longest(*orders) for each in turn if each is not None]
    return turns[:questions]
