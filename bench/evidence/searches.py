"""Quality of a calibration in use: searches of questions with known answers, against votes on recorded draws.

Usage: ``python -m bench.evidence.searches MODEL DATA.jsonl --calibration FILE [--beside DRAWS.jsonl.gz]``

Finished solutions are judged by the estimate that each has alone, and once more as it stood when its search
ended (``revised``), and answers by their own probability.
Draws are kept as those of ``adascale eval`` are: the same command goes on, and another calibration with the
same sampler draws only what this one did not. ``--beside`` has solutions of the same questions
(``recorded_draws``): the table is that of ``at_equal_tokens``, with these searches as ``adaptive``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from adascale.engine.answers.equality import is_right
from adascale.engine.answers.result import Candidate
from adascale.engine.calibration.figures import StageReport
from adascale.engine.codec import to_plain
from adascale.engine.evaluation.contestants import parse_contestants
from adascale.engine.evaluation.evaluate import AT_ONCE
from adascale.engine.fitting.metrics import Predictions
from adascale.engine.fitting.report import report
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.types import Estimate, Problem
from adascale.models.draws.store import DrawStore
from adascale.models.options import SessionOptions
from adascale.models.question_sets import read_known
from adascale.models.session import Session

from ..common import close, listed, table
from . import recorded_draws
from .at_equal_tokens import (
    ADAPTIVE,
    READ_VOTES,
    STOPPING,
    Cell,
    compare,
    means,
    named,
    play,
    play_stopping,
    rules_of,
    show,
)
from .calibration_check import Rows, predictions

HEADER = ["n", "rate", "skill", "AUC", "ECE", "noise", "coverage", "width"]


def search(options: SessionOptions, name: str, problems: Sequence[Problem], seed: int) -> dict[str, Record]:
    """Search every question; those that ended, by id."""
    records: dict[str, Record] = {}
    with Session(options) as session, closing(DrawStore(session.draws_path("value"))) as store:
        [contestant] = parse_contestants(name)
        policy, strategy = session.replay_policy(store), replace(contestant.strategy, modes=session.modes)
        started, ended = time.monotonic(), 0
        driver = session.driver(lambda: 0.0, policy)
        policy.look_ahead(driver)
        for problem, event in driver.run(problems, Settings(strategy, seed=seed), AT_ONCE):
            record = records[problem.id] = Record.after(records.get(problem.id), event)
            if record.end is not None:
                ended += 1
                rate = policy.drawn_tokens / (time.monotonic() - started)
                print(f"{ended}/{len(problems)} questions, {rate:.0f} tokens/s", flush=True)
    return {id_: record for id_, record in records.items() if record.result is not None}


def judged(records: Sequence[Record]) -> dict[str, Predictions]:
    """Estimates of questions, finished solutions (alone, and as they stand) and answers, with outcomes."""
    questions: Rows = []
    solutions: Rows = []
    revised: Rows = []
    answers: Rows = []
    for at, record in enumerate(records):
        gold = _gold(record)
        right = [is_right(each.answer, gold=gold) for each in record.candidates]
        ended = list(zip(record.candidates, right, strict=True))
        solutions += [(at, _quantiles(each.estimate), good, 1) for each, good in ended]
        revised += [(at, _quantiles(_as_it_stands(record, each)), good, 1) for each, good in ended]
        for mode, estimate in record.tree.questions.items():
            own = [good for each, good in ended if each.mode == mode]
            questions += [(at, _quantiles(estimate), sum(own), len(own))] if own else []
        if record.answer is not None and record.confidence is not None:
            answers.append((at, _quantiles(record.confidence), is_right(record.answer, gold=gold), 1))
    rows = {"question": questions, "finished": solutions, "revised": revised, "answer": answers}
    return {stage: predictions(found) for stage, found in rows.items() if found}


def beside_votes(records: Mapping[str, Record], draws: Path) -> Cell:
    """The searches as ``adaptive`` of a cell, with votes on draws of the same questions.

    Votes are played once, on the samples in the order in which they were drawn.
    """
    found = play(draws, named(READ_VOTES), 1, calibrated=False)
    drawn = [record["id"] for record in recorded_draws.load(draws)[1]]
    both = [at for at, id_ in enumerate(drawn) if id_ in records]
    votes = {name: found[name][both] for name in READ_VOTES}
    families = {name: ends[:, both] for name, ends in play_stopping(draws, STOPPING, 1).items()}
    ours = np.array([_columns(records[drawn[at]]) for at in both])
    return Cell(draws.name.removesuffix(".jsonl.gz"), {ADAPTIVE: ours, **votes}, families)


def _columns(record: Record) -> tuple[float, float, float, float]:
    usage = record.usage
    right = is_right(record.answer, gold=_gold(record))
    return (right, usage.generated_tokens, usage.seconds, usage.flops)


def cells_of(found: StageReport) -> list[str]:
    """A row of a table below ``HEADER``."""
    numbers = [
        found.base_rate,
        found.skill,
        found.auc,
        found.ece,
        found.ece_floor,
        found.coverage,
        found.width,
    ]
    low, high = found.intervals["skill"]
    rate, skill, *others = ["-" if x is None else f"{x:.2f}" for x in numbers]
    return [str(found.n), rate, f"{skill} ({low or 0:.2f} to {high or 0:.2f})", *others]


def _gold(record: Record) -> str:
    gold = record.started.problem.answer
    assert gold is not None, "the questions have answers"
    return gold


def _as_it_stands(record: Record, candidate: Candidate) -> Estimate:
    estimate = record.tree[candidate.node].estimate
    assert estimate is not None, "what has ended was scored"
    return estimate


def _quantiles(estimate: Estimate) -> tuple[float, float, float]:
    return (estimate.lower, estimate.median, estimate.upper)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", type=Path, help="file with the ids of the questions, one a line")
    parser.add_argument("--questions", type=int, help="so many of that file, from its beginning")
    parser.add_argument("--calibration", default="auto")
    parser.add_argument("--strategy", default=ADAPTIVE)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, help="by default the physical cores")
    parser.add_argument("--beside", type=Path, help="draws of the same questions")
    args = parser.parse_args()
    options = SessionOptions(
        args.model, calibration=args.calibration, branches=32, threads=args.threads, purpose="replay"
    )
    [problems] = read_known([args.data])
    if args.only is not None:
        problems = listed([problems], args.only)[: args.questions]
    records = search(options, args.strategy, problems, args.seed)
    stages = report(judged(list(records.values())))
    title = f"{args.model}, {args.data.stem}, {len(records)} questions"
    table([title, *HEADER], [[stage, *cells_of(found)] for stage, found in stages.items()])
    figures: dict[str, Any] = {"stages": to_plain(stages)}
    if args.beside is not None:
        cell = beside_votes(records, args.beside)
        rows = compare([cell], rules_of([cell]))
        show(title, means([cell], ADAPTIVE, [np.arange(cell.questions)]), rows)
        figures["beside"] = [asdict(row) for row in rows]
    close(figures)


if __name__ == "__main__":
    main()
