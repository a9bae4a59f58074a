"""Strategies that do more than draw whole solutions, run on the questions of recorded ones.

Usage: ``python -m bench.evidence.paired DRAWS.jsonl.gz DATA.jsonl -o OUTCOMES.jsonl.gz
[--strategies adaptive,beam]``

The records (``recorded_draws``) give the strategies that these are measured against; a beam, or a step that
is drawn again on records that do not hold it, cannot be replayed from them. Draws are those of ``adascale
eval`` with the same seed, and are kept for it. Each outcome is appended with its texts the moment it is
there, and the same command goes on. Older files of outcomes are neither compressed nor have texts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from adascale.engine.codec import build, to_plain
from adascale.engine.evaluation.compare import Comparison
from adascale.engine.evaluation.evaluate import Contestant, Outcome, evaluate
from adascale.engine.evaluation.tables import markdown
from adascale.engine.types import Problem
from adascale.models.draws.store import DrawStore
from adascale.models.options import SamplingOverrides, SessionOptions
from adascale.models.question_sets import read_known
from adascale.models.session import Session

from ..common import close
from . import recorded_draws
from .frontier import contestants_of

AGAINST = "greedy,vote:4,vote:16,best-of-n:16,best-of-n:16+n,adaptive-consistency"


def run(header: Mapping[str, Any], todo: Sequence[tuple[Contestant, list[Problem]]]) -> Iterator[Outcome]:
    """Search the questions that each entry still lacks."""
    sampling = SamplingOverrides(temperature=header["temperature"])
    options = SessionOptions(header["model"], sampling=sampling, branches=32, purpose="replay")
    with Session(options) as session, closing(DrawStore(session.draws_path("value"))) as store:
        assert recorded_draws.digest(session.prompts.calibrations["value"]) == header["calibration_sha256"]
        driver = session.driver(lambda: 0.0, session.replay_policy(store))
        for entry, problems in todo:
            yield from evaluate(driver, [entry], problems, 1, header["seed"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("draws", type=Path)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--strategies", default="adaptive")
    parser.add_argument("--against", default=AGAINST)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--questions", type=int, help="only the first so many")
    parser.add_argument("--orders", type=int, default=8, help="play the records in as many orders")
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    header, driver, recorded = recorded_draws.replay_driver(args.draws, args.orders)
    recorded = recorded[: args.questions]
    played = contestants_of(args.against, header)
    live = contestants_of(args.strategies, header, args.set)
    kept = recorded_draws.lines(args.output) if args.output.exists() else []
    found = {(o.entry, o.problem): o for o in (build(Outcome, line) for line in kept)}
    known = {problem.id: problem for file in read_known(args.data) for problem in file}
    asked = [(entry, problem.id) for entry in live for problem in recorded]
    lacking = [(entry, id_) for entry, id_ in asked if (entry.name, id_) not in found]
    todo = [(entry, [known[id_] for other, id_ in lacking if other is entry]) for entry in live]
    for at, new in enumerate(run(header, todo) if lacking else (), start=1):
        recorded_draws.append(args.output, [to_plain(new)])
        found[new.entry, new.problem] = new
        print(f"{at}/{len(lacking)} searches, {new.entry}", flush=True)
    comparison = Comparison([*played, *live], [problem.id for problem in recorded])
    for each in evaluate(driver, played, recorded, args.orders, header["seed"]):
        comparison.add(each)
    for entry, id_ in asked:
        comparison.add(found[entry.name, id_])
    report = comparison.report()
    print(markdown(report))
    close({**recorded_draws.description(header), **to_plain(report)})


if __name__ == "__main__":
    main()
