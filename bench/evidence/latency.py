"""What a person waits for and gets, live: questions one after another, each by every rule and model, in turn.

Usage: ``python -m bench.evidence.latency DATA.jsonl=N[,DATA.jsonl=N] MODEL[,MODEL] [--rules greedy,adaptive]
[--seed 1] [--rows ROWS.jsonl]``

A model is a name, a file or the address of a server. Each question is alone, and asked by greedy, by a vote
of 16 in both modes, by ``adaptive`` at a width of one, and by ``adaptive`` as ``ask`` has it. The prompt is
read anew each time, and models stay loaded. Rows are kept, so the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from adascale.engine.answers.equality import is_right
from adascale.engine.request import Settings
from adascale.engine.search.events import AnswerFound, SearchFinished
from adascale.engine.strategies import Adaptive, Greedy, Vote
from adascale.engine.types import Problem, Schedule, probability_of
from adascale.models import open_session
from adascale.models.options import SessionOptions
from adascale.models.questions import choose_questions, read_known

from ..common import append, arguments, close, kept_lines, table
from ..metrics import ece, ece_floor
from .calibration_check import Rows, predictions

if TYPE_CHECKING:
    from adascale.models import AnySession

Row = Mapping[str, Any]


def rules(session: AnySession, seed: int) -> dict[str, Settings]:
    """Ways to ask, by name."""
    adaptive, conditions = Adaptive(modes=session.modes), session.conditions("value")
    asked = {
        "greedy": (Greedy(), None),
        "vote:16/both": (Vote(16, modes=session.modes), None),
        "one by one": (adaptive, Schedule.even(1)),
        "adaptive": (adaptive, session.schedule),
    }
    return {
        name: Settings(conditions.possible(rule), seed=seed, schedule=schedule)
        for name, (rule, schedule) in asked.items()
    }


def ask(session: AnySession, problem: Problem, settings: Settings) -> dict[str, Any]:
    """Search one question from its prompt to its answer."""
    started = time.monotonic()
    log = [event for _, event in session.driver(time.monotonic).run([problem], settings)]
    seconds = time.monotonic() - started
    [end] = [event for event in log if isinstance(event, SearchFinished)]
    result = end.result
    answers = [event for event in log if isinstance(event, AnswerFound) and event.answer is not None]
    first = answers[0] if answers else None
    return {
        "seconds": round(seconds, 2),
        "first_seconds": round(seconds if first is None else first.t, 2),
        "first_right": first is not None and is_right(first.answer, gold=str(problem.answer)),
        "tokens": end.usage.generated_tokens,
        "answer": result.answer,
        "right": is_right(result.answer, gold=str(problem.answer)),
        "p": probability_of(result.confidence) if result.answer is not None else None,
    }


def rows(
    problems: Sequence[Problem], models: Sequence[str], names: Sequence[str], seed: int, kept: Path
) -> Iterator[Row]:
    """A row for each question, model and rule; those that are kept are not asked again."""
    known = {(row["id"], row["model"], row["rule"]): row for row in kept_lines(kept)}
    with ExitStack() as stack:
        sessions: list[AnySession] = []
        for name in models:
            sessions.append(session := open_session(SessionOptions(name, branches=16)))
            stack.enter_context(session)
        for problem in problems:
            for model, session in zip(models, sessions, strict=True):
                for name in names:
                    key = {"id": problem.id, "model": model, "rule": name}
                    if (row := known.get((problem.id, model, name))) is None:
                        row = key | ask(session, problem, rules(session, seed)[name])
                        append(kept, row)
                    yield row


def figures(found: Sequence[Row], greedy: Mapping[str, Row]) -> dict[str, float | int | None]:
    """Figures of one model and rule.

    Medians are over greedy's seconds: ``easy`` on questions that greedy solves, ``first`` on all.
    """
    judged: Rows = [
        (at, (p, p, p), row["right"], 1.0) for at, row in enumerate(found) if (p := row["p"]) is not None
    ]
    data = predictions(judged) if judged else None
    pairs = [(row, of) for row in found if (of := greedy.get(row["id"]))]
    easy = [row["seconds"] / of["seconds"] for row, of in pairs if of["right"]]
    first = [row["first_seconds"] / of["seconds"] for row, of in pairs]
    return {
        "right": sum(row["right"] for row in found),
        "seconds": round(fmean(row["seconds"] for row in found), 1),
        "tokens": round(fmean(row["tokens"] for row in found)),
        "easy_over_greedy": round(median(easy), 2) if easy else None,
        "first_over_greedy": round(median(first), 2) if first else None,
        "first_right": sum(row["first_right"] for row in found),
        "ece": None if data is None else round(ece(data), 3),
        "noise": None if data is None else round(ece_floor(data), 3),
    }


def main() -> None:
    usual = "greedy,vote:16/both,one by one,adaptive"
    args = arguments(__doc__, "data", "models", rules=usual, seed=1, rows="latency.rows.jsonl")
    parts = [part.rpartition("=") for part in args.data.split(",")]
    problems = [
        *chain.from_iterable(
            choose_questions(read_known([Path(path)]), int(number), args.seed) for path, _, number in parts
        )
    ]
    models, names = args.models.split(","), args.rules.split(",")
    by_rule: dict[tuple[str, str], list[Row]] = {}
    for row in rows(problems, models, names, args.seed, Path(args.rows)):
        by_rule.setdefault((row["model"], row["rule"]), []).append(row)
    greedy = {model: {row["id"]: row for row in by_rule.get((model, "greedy"), [])} for model in models}
    found = {key: figures(own, greedy[key[0]]) for key, own in by_rule.items()}
    table(
        ["model", "rule", *next(iter(found.values()))],
        [
            [*key, *("-" if value is None else str(value) for value in own.values())]
            for key, own in found.items()
        ],
    )
    close({"questions": len(problems), "figures": [[*key, own] for key, own in found.items()]})


if __name__ == "__main__":
    main()
