"""How long a person waits for an answer to an easy question: ``adaptive`` against one greedy solution.

Usage: ``python -m bench.evidence.latency MODEL DATA.jsonl [--questions 50] [--seed 1]``

Easy are the questions whose greedy solution in prose is right; they are asked one after another, each alone,
until there are so many, by ``adaptive`` in a hurry, as ``ask`` has it, and without. The prompt is
read anew each time, and the model stays loaded. Programs run while the model decodes: their share of all
seconds of the searches bounds the cost of executing them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from adascale.engine.answers.equality import is_right
from adascale.engine.search.events import ProgramRan, SearchFinished
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Adaptive, Greedy, Strategy, with_mode
from adascale.engine.types import Problem
from adascale.models.options import SessionOptions
from adascale.models.question_sets import choose_questions, read_known
from adascale.models.session import OpenSession, Session

from ..common import close, table


@dataclass(frozen=True, slots=True)
class Wait:
    """One question, alone: seconds, those in which a program ran, generated tokens, and if it was right."""

    seconds: float
    executing: float
    tokens: int
    right: bool


def ask(session: OpenSession, problem: Problem, strategy: Strategy, seed: int, hurry: bool = True) -> Wait:
    """Search one question from its prompt to its answer."""
    started = time.monotonic()
    settings = Settings(strategy, seed=seed, hurry=hurry)
    log = [event for _, event in session.driver(time.monotonic).run([problem], settings)]
    seconds = time.monotonic() - started
    executing = sum(event.execution.seconds for event in log if isinstance(event, ProgramRan))
    [end] = [event for event in log if isinstance(event, SearchFinished)]
    right = is_right(end.result.answer, gold=str(problem.answer))
    return Wait(seconds, executing, end.usage.generated_tokens, right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    problems = choose_questions(read_known([args.data]), None, args.seed)
    found: list[tuple[Wait, Wait, Wait]] = []
    with Session(SessionOptions(args.model)) as session:
        adaptive = with_mode(Adaptive(), "auto", session.modes)
        for problem in problems:
            greedy = ask(session, problem, Greedy(), args.seed)
            if greedy.right:
                fast, lean = (ask(session, problem, adaptive, args.seed, hurry) for hurry in (True, False))
                found.append((greedy, fast, lean))
            if len(found) == args.questions:
                break
    greedy_waits, fast_waits, lean_waits = ([each[at] for each in found] for at in range(3))
    rows = []
    for name, waits in (
        ("greedy", greedy_waits),
        ("adaptive", fast_waits),
        ("adaptive, -o hurry false", lean_waits),
    ):
        seconds, tokens = median(w.seconds for w in waits), median(w.tokens for w in waits)
        rows.append([name, f"{seconds:.1f}", f"{tokens:.0f}", str(sum(w.right for w in waits))])
    table(["", "median seconds", "median tokens", "right"], rows)

    def ratio(waits: Sequence[Wait]) -> float:
        return round(median(w.seconds for w in waits) / median(w.seconds for w in greedy_waits), 2)

    close(
        {
            "ratio": ratio(fast_waits),
            "thrift_ratio": ratio(lean_waits),
            "paired_ratio": round(median(fast.seconds / greedy.seconds for greedy, fast, _ in found), 2),
            "executing_share": round(
                sum(w.executing for w in fast_waits) / sum(w.seconds for w in fast_waits), 4
            ),
            "questions": len(found),
            "modes": list(adaptive.modes),
            "step_costs": session.step_costs.relative(session.policy.slots),
            "model": args.model,
        }
    )


if __name__ == "__main__":
    main()
