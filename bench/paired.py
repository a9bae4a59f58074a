"""A strategy that does more than draw whole solutions, run live on the questions of recorded ones.

Usage: ``python bench/paired.py DRAWS.jsonl.gz DATA.jsonl -o OUTCOMES.jsonl [--strategy adaptive]``

The records (``records.py``) give the strategies that it is measured against; a beam, or a step that is drawn
again on records that do not hold it, cannot be replayed from them. Each outcome is appended the moment it is
there, and the same command goes on. Nothing runs ahead, and a prompt counts whole, as in ``adascale eval``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import records
from common import close
from frontier import numbers

from adascale.cli.entries import parse_entries
from adascale.cli.evaluate_report import markdown
from adascale.cli.problems import read_known
from adascale.engine.codec import build, to_plain
from adascale.engine.comparison import Comparison
from adascale.engine.evaluation import Entry, Outcome, evaluate
from adascale.engine.ports import Evaluated
from adascale.engine.strategies import SearchParams
from adascale.engine.types import Problem
from adascale.models.session import Session
from adascale.models.session_options import SessionOptions

AGAINST = "greedy,vote:4,vote:16,best-of-n:16,best-of-n:16+n,adaptive-consistency"


class WholePrompts:
    """A policy whose prompts cost what they would alone, though they share their beginning."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def open(self, problem: Problem) -> Evaluated:
        cost: Evaluated = self._policy.open(problem)
        return Evaluated(cost.evaluated_tokens + cost.reused_tokens, 0, cost.reading)


def run(header: Any, entry: Entry, problems: list[Problem]) -> Iterator[Outcome]:
    options = SessionOptions(header["model"], branches=32, temperature=header["temperature"])
    with Session(options) as session:
        assert session.calibration is not None
        assert records.digest(session.calibration) == header["calibration_sha256"]
        driver = session.driver(time.monotonic, WholePrompts(session.policy))
        yield from evaluate(driver, [entry], problems, 1, header["seed"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("draws", type=Path)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--strategy", default="adaptive")
    parser.add_argument("--against", default=AGAINST)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--orders", type=int, default=8, help="play the records in as many orders")
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    header, driver, recorded = records.replaying(args.draws, args.orders)
    params = SearchParams(samples=header["samples"])
    entries = parse_entries(args.against, params)
    [entry] = parse_entries(args.strategy, replace(params, **numbers(args.set)))
    kept = args.output.read_text(encoding="utf-8").splitlines() if args.output.exists() else []
    found: dict[str, Outcome] = {o.problem: o for o in (build(Outcome, json.loads(line)) for line in kept)}
    known = {problem.id: problem for file in read_known(args.data) for problem in file}
    problems = [known[problem.id] for problem in recorded if problem.id not in found]
    started, tokens = time.monotonic(), 0
    for new in run(header, entry, problems) if problems else ():
        with args.output.open("a", encoding="utf-8") as file:
            file.write(json.dumps(to_plain(new)) + "\n")
        found[new.problem] = new
        tokens += new.usage.generated_tokens
        rate = tokens / (time.monotonic() - started)
        print(f"{len(found)}/{len(recorded)} questions, {rate:.0f} tokens/s", flush=True)
    both = [problem for problem in recorded if problem.id in found]
    comparison = Comparison([*entries, entry], [problem.id for problem in both])
    for each in (*evaluate(driver, entries, both, args.orders, header["seed"]), *found.values()):
        comparison.add(each)
    report = comparison.report()
    print(markdown(report))
    close({**{name: header[name] for name in ("model", "generator", "calibration", "seed")}, **report})


if __name__ == "__main__":
    main()
