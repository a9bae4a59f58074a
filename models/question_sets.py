"""Sets of questions that a fit or an evaluation draws from, each question once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.kinds import KINDS, kind_of
from adascale.engine.types import KindName, Problem

from .questions import BadLine, read_problems


def read_known(sources: Sequence[Path]) -> list[list[Problem]]:
    """Problems of each file, each with what is right.

    An id that occurred before is prefixed with its file's name. A question that occurs twice, with the
    same options or tools if it has any, is kept once: copies could land on both sides of a split.

    Raises:
        UsageError: a file cannot be read, holds no question, or has a line without a question and its answer,
            or with an answer that is none of its options.
    """
    files: list[list[Problem]] = []
    taken, asked = set[str](), set[str]()
    for source in sources:
        files.append([])
        problem = None
        for problem in _good_lines(source):
            _check_known(problem, source.name)
            statement = kind_of(problem).statement(kind_of(problem).for_search(problem))
            if statement not in asked:
                named = _with_free_id(problem, source.stem, taken)
                files[-1].append(named)
                taken.add(named.id)
                asked.add(statement)
        if problem is None:
            hint = 'one on each line, such as {"question": "What is 17 * 23?", "answer": "391"}'
            raise UsageError(f"{source.name} holds no question", hint=hint)
    return files


def _check_known(problem: Problem, file: str) -> None:
    """Refuse a question of which nobody says what is right, or an answer that is none of the options."""
    kind, field = kind_of(problem), KINDS[problem.kind].judged_by
    line = f"{file}: line {problem.meta['line']}"
    if not kind.is_judged(problem):
        raise UsageError(
            f'{line} has nothing in its field "{field}"',
            "solutions are compared with what is known to be right",
            hint=f'add it: {{"question": "...", "{field}": "..."}}, or remove the line',
        )
    options = kind.options(problem)
    if options and not any(kind.is_right(problem, option, None, None) for option in options):
        given = excerpt(problem.answer or "", 40)
        raise UsageError(
            f'{line} has "{given}" in its field "{field}", which is none of its options',
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
        if error.slug == "unreadable":
            raise
        message, hint = f"{source.name}: {error.message}", error.hint or "mend or remove the line"
        raise UsageError(message, *error.facts, hint=hint, slug=error.slug) from error


def _with_free_id(problem: Problem, name: str, taken: set[str]) -> Problem:
    id_ = problem.id
    while id_ in taken:
        id_ = f"{name}:{id_}"
    return replace(problem, id=id_)


def choose_questions(files: Sequence[Sequence[Problem]], questions: int | None, seed: int) -> list[Problem]:
    """As many questions as asked for, spread evenly over the files and taken from each in turn.

    A larger number with the same seed contains a smaller one, so what was drawn for it is used again.
    """
    orders = []
    for problems in files:
        order = list(problems)
        random.Random(str(seed)).shuffle(order)
        orders.append(order)
    longest = max((len(order) for order in orders), default=0)
    turns = [order[i] for i in range(longest) for order in orders if i < len(order)]
    return turns if questions is None else turns[:questions]


def only_kind(problems: Sequence[Problem]) -> KindName:
    """The one kind of all problems, of which there is at least one.

    Raises:
        UsageError: they are of several kinds.
    """
    kinds = Counter(problem.kind for problem in problems)
    if len(kinds) > 1:
        raise UsageError(
            "the records are of several kinds, which no figure can sum up",
            ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()),
            hint="keep them in files of their own, and run the command once for each kind",
        )
    return problems[0].kind
