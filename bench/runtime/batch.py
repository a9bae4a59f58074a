"""Wall time and memory of many questions at once, against the same questions one after another.

Usage: ``python -m bench.runtime.batch MODEL DATA.jsonl [--questions 16] [--strategy adaptive] [--seed 1]``

``beyond_mb`` is the largest memory of the process apart from the weights and the KV cache.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from adascale.engine.answers.equality import is_right
from adascale.engine.request import Settings
from adascale.engine.search.events import SearchFinished
from adascale.engine.strategies import strategy_named
from adascale.engine.types import Problem
from adascale.models.options import SessionOptions
from adascale.models.questions import choose_questions, read_known
from adascale.models.session import Session

from ..common import arguments, close, table


def run(session: Session, groups: Sequence[Sequence[Problem]], settings: Settings) -> tuple[float, int, int]:
    """Seconds, generated tokens and right answers of all groups, one group after another."""
    tokens = right = 0
    started = time.monotonic()
    for group in groups:
        for problem, event in session.driver(time.monotonic).run(group, settings):
            if isinstance(event, SearchFinished):
                tokens += event.usage.generated_tokens
                right += is_right(event.result.answer, gold=str(problem.answer))
    return time.monotonic() - started, tokens, right


def main() -> None:
    args = arguments(__doc__, "model", "data", questions=16, strategy="adaptive", seed=1)
    problems = choose_questions(read_known([Path(args.data)]), args.questions, args.seed)
    strategy = strategy_named(args.strategy)
    with Session(SessionOptions(args.model, branches=32)) as session:
        settings = Settings(strategy, seed=args.seed)
        info = session.files.generator.info
        planned = info.size_bytes + info.kv_bytes_per_token * session.context.window * 32
        found = {
            "one after another": run(session, [[problem] for problem in problems], settings),
            "at once": run(session, [problems], settings),
        }
    rows = [[name, f"{s:.1f}", f"{t:,}", f"{t / s:.0f}", str(r)] for name, (s, t, r) in found.items()]
    table(["", "seconds", "tokens", "tokens/s", "right"], rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    close(
        {
            "speedup": round(found["one after another"][0] / found["at once"][0], 2),
            "peak_mb": round(peak / 1e6),
            "beyond_mb": round((peak - planned) / 1e6),
            "questions": len(problems),
            "model": args.model,
        }
    )


if __name__ == "__main__":
    main()
