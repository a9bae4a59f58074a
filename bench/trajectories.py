"""Trajectories of kept draws as small records, for studies of stopping and choosing without a model.

Usage: ``python bench/trajectories.py MODEL DATA.jsonl ... [--samples 16] [--questions N] [--seed S] -o FILE``

One line a question: its id, its own estimate, and a greedy and ``samples`` sampled trajectories in the order
in which they were drawn, each with its answer, whether it is right, how it ended, and for every step its
tokens and its lower, median and upper estimate. What ``adascale eval`` has drawn with the same questions
and seed is used; the rest is drawn and kept for it.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from common import close

from adascale.cli.problems import read_known
from adascale.engine.answers import same_answer
from adascale.engine.driver import Driver
from adascale.engine.evaluation import AT_ONCE
from adascale.engine.events import AnswerFound, SearchFinished
from adascale.engine.replay import replay
from adascale.engine.settings import Settings
from adascale.engine.strategies import SearchParams, strategy_named
from adascale.engine.tree import Tree
from adascale.engine.types import ROOT, Estimate, NodeId, Problem
from adascale.models.collect import choose
from adascale.models.drawstore import DrawStore
from adascale.models.session import Session
from adascale.models.session_options import SessionOptions


def numbers(estimate: Estimate | None) -> list[float] | None:
    """Lower, median and upper to four digits."""
    if estimate is None:
        return None
    return [round(p, 4) for p in (estimate.lower, estimate.median, estimate.upper)]


def trajectory(tree: Tree, node: NodeId, answer: str | None) -> dict[str, Any]:
    step = tree[node].step
    assert step is not None
    path = tree.path(node)
    right = answer is not None and same_answer(answer, str(tree.problem.answer))
    return {
        "answer": answer,
        "right": right,
        "finish": step.finish,
        "tokens": [len(n.step.token_ids) for n in path if n.step],
        "estimates": [numbers(n.estimate) for n in path],
    }


def drawn(
    driver: Driver, problems: Sequence[Problem], strategy: str, samples: int, seed: int
) -> Iterator[tuple[Problem, Tree, list[dict[str, Any]]]]:
    logs: dict[str, list[Any]] = {}
    settings = Settings(strategy_named(strategy), SearchParams(samples=samples), seed=seed)
    for problem, event in driver.run(problems, settings, AT_ONCE):
        logs.setdefault(problem.id, []).append(event)
        if isinstance(event, SearchFinished):
            log = logs.pop(problem.id)
            tree = replay(log)
            ends = sorted(
                (e for e in log if isinstance(e, AnswerFound)), key=lambda e: tree[e.node].branch or 0
            )
            yield problem, tree, [trajectory(tree, e.node, e.answer) for e in ends]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--questions", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    problems = choose(read_known(args.data), args.questions, args.seed)
    records: dict[str, dict[str, Any]] = {}
    with (
        Session(SessionOptions(args.model, branches=32, purpose="replay")) as session,
        closing(DrawStore(session.draws_path())) as store,
    ):
        driver = session.driver(lambda: 0.0, session.replaying(store))
        for name in ("greedy", "vote"):
            for problem, tree, found in drawn(driver, problems, name, args.samples, args.seed):
                record = records.setdefault(
                    problem.id, {"id": problem.id, "level": problem.meta.get("level")}
                )
                record["question"] = numbers(tree[ROOT].estimate)
                record[name] = found
    with gzip.GzipFile(args.output, "wb", mtime=0) as file:
        for problem in problems:
            file.write((json.dumps(records[problem.id]) + "\n").encode())
    right = [t["right"] for record in records.values() for t in record["vote"]]
    close({"questions": len(records), "right": round(sum(right) / len(right), 4), "model": args.model})


if __name__ == "__main__":
    main()
