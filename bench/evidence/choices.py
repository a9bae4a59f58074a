"""Questions with options: what a look at them is worth, what solutions add, and what ships.

Usage:
``python -m bench.evidence.choices draw MODEL DATA.jsonl OUT.jsonl --questions N --samples 8``
``python -m bench.evidence.choices fit FIT.jsonl ...``
``python -m bench.evidence.choices table --fit FIT.jsonl ... --of EVAL.jsonl ...``

``draw`` looks at each question in two orders and writes a greedy solution and ``--samples`` others; the same
command goes on where it was stopped. ``fit`` prints the weights of each kind and how they do on questions
held out. ``table`` plays rules on recorded draws, with weights that were fitted on other questions.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from adascale.engine.kinds import kind_of
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Greedy, Strategy, Vote
from adascale.engine.types import Problem
from adascale.models.draws.store import DrawStore
from adascale.models.options import SessionOptions
from adascale.models.question_sets import read_known
from adascale.models.session import OpenSession, Session

AT_ONCE = 32


def draw(args: argparse.Namespace) -> None:
    """Draw what the output lacks, 32 questions at a time."""
    [problems] = read_known([args.data])
    done = {record["id"] for record in load(args.out)} if args.out.exists() else set()
    todo = [problem for problem in problems[: args.questions] if problem.id not in done]
    options = SessionOptions(args.model, calibration="none", branches=AT_ONCE, purpose="replay")
    with Session(options) as session, closing(DrawStore(session.draws_path(problems[0].kind))) as store:
        for at in range(0, len(todo), AT_ONCE):
            chunk = todo[at : at + AT_ONCE]
            began = time.monotonic()
            records = [*_records(session, store, chunk, args.samples)]
            with args.out.open("a") as file:
                file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            print(f"{len(records)} more, {time.monotonic() - began:.0f} s", flush=True)


def _records(
    session: OpenSession, store: DrawStore, problems: Sequence[Problem], samples: int
) -> Iterator[dict[str, Any]]:
    policy = session.replay_policy(store)
    looks = {each.id: [policy.look(look) for look in kind_of(each).looks(each)] for each in problems}
    drawn = _solutions(session, store, problems, Vote(samples=samples)) if samples else {}
    greedy = _solutions(session, store, problems, Greedy()) if samples else {}
    for each in problems:
        yield {
            "id": each.id,
            "kind": each.kind,
            "right": kind_of(each).options(each).index(_right(each)),
            "looks": [seen.log_probs for seen in looks[each.id]],
            "look_tokens": sum(seen.evaluated_tokens for seen in looks[each.id]),
            **({"greedy": greedy[each.id][0], "solutions": drawn[each.id]} if samples else {}),
        }


def _right(problem: Problem) -> str:
    kind = kind_of(problem)
    return next(name for name in kind.options(problem) if kind.is_right(problem, name, None, None))


def _solutions(
    session: OpenSession, store: DrawStore, problems: Sequence[Problem], strategy: Strategy
) -> dict[str, list[dict[str, Any]]]:
    """Solutions of each question in drawing order, with the place of the option that each has chosen."""
    policy = session.replay_policy(store)
    driver = session.driver(lambda: 0.0, policy)
    policy.look_ahead(driver)
    records: dict[str, Record] = {}
    for problem, event in driver.run(problems, Settings(strategy, seed=1), AT_ONCE):
        records[problem.id] = Record.after(records.get(problem.id), event)
    found = {}
    for problem in problems:
        record = records[problem.id]
        names = kind_of(problem).options(problem)
        ends = sorted(record.candidates, key=lambda each: record.tree.draw_order(each.node))
        found[problem.id] = [
            {
                "option": None if each.answer is None else names.index(each.answer),
                "tokens": sum(len(step.token_ids) for step in record.tree.steps(each.node)),
                "text": record.tree.text(each.node),
            }
            for each in ends
        ]
    return found


def load(path: Path) -> list[dict[str, Any]]:
    """The records of a file, plain or compressed."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return [json.loads(line) for line in text.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("model")
    drawing.add_argument("data", type=Path)
    drawing.add_argument("out", type=Path)
    drawing.add_argument("--questions", type=int, default=150)
    drawing.add_argument("--samples", type=int, default=8)
    drawing.set_defaults(run=draw)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
