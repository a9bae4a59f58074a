"""Seconds that a person waits, live: questions one after another, each by every rule, in turn.

Usage: ``python -m bench.evidence.latency MODEL DATA.jsonl [--questions 20] [--seed 1]``

Each question is alone, and asked by greedy, by a vote of 16 in both modes, by ``adaptive`` at a width of one,
and by ``adaptive`` as ``ask`` has it. The prompt is read anew each time, and the model stays loaded.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from adascale.engine.answers.equality import is_right
from adascale.engine.request import Settings
from adascale.engine.search.events import SearchFinished
from adascale.engine.strategies import Adaptive, Greedy, Vote
from adascale.engine.types import Problem
from adascale.models.options import SessionOptions
from adascale.models.questions import choose_questions, read_known
from adascale.models.session import Session

from ..common import close, table


@dataclass(frozen=True, slots=True)
class Wait:
    """One question, alone: seconds, generated tokens, and if it was right."""

    seconds: float
    tokens: int
    right: bool


def ask(session: Session, problem: Problem, settings: Settings) -> Wait:
    """Search one question from its prompt to its answer."""
    started = time.monotonic()
    log = [event for _, event in session.driver(time.monotonic).run([problem], settings)]
    seconds = time.monotonic() - started
    [end] = [event for event in log if isinstance(event, SearchFinished)]
    right = is_right(end.result.answer, gold=str(problem.answer))
    return Wait(seconds, end.usage.generated_tokens, right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    problems = choose_questions(read_known([args.data]), args.questions, args.seed)
    with Session(SessionOptions(args.model, branches=16)) as session:
        adaptive = Adaptive(modes=session.modes)
        rules = {
            "greedy": Settings(Greedy(), seed=args.seed),
            "vote:16/both": Settings(Vote(16, modes=session.modes), seed=args.seed),
            "adaptive, one by one": Settings(adaptive, seed=args.seed, width=1),
            "adaptive": Settings(adaptive, seed=args.seed, width=session.width),
        }
        found: dict[str, list[Wait]] = {name: [] for name in rules}
        for problem in problems:
            for name, settings in rules.items():
                found[name].append(ask(session, problem, settings))
        easy = [at for at, wait in enumerate(found["greedy"]) if wait.right]
        figures = {
            name: {
                "right": sum(wait.right for wait in waits),
                "seconds": round(fmean(wait.seconds for wait in waits), 1),
                "tokens": round(fmean(wait.tokens for wait in waits)),
                "over_greedy_median": round(
                    median(waits[at].seconds / found["greedy"][at].seconds for at in easy), 2
                ),
            }
            for name, waits in found.items()
        }
        table(
            ["", *next(iter(figures.values()))],
            [[name, *map(str, f.values())] for name, f in figures.items()],
        )
        close({"model": args.model, "questions": len(problems), "width": session.width, "rules": figures})


if __name__ == "__main__":
    main()
