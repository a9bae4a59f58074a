"""The rule of models that nobody fitted, on recorded draws: by turns, and by the posterior of votes.

Usage: ``python -m bench.evidence.by_votes FILE.jsonl.gz ... [--orders 24]``

Each file is a cell of draws in both modes (``recorded_draws``). The rule is ``adaptive`` as it is without a
calibration of the model (``engine.calibration.votes``): nothing but the size of the model is known. Beside it
stands a lead of two votes in prose at the same tokens, cell by cell (``at_equal_tokens``). ECE and AUC are of
the probability of the answer at which the search ended.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adascale.engine.calibration.votes import VotePosterior
from adascale.engine.evaluation.evaluate import Contestant, evaluate
from adascale.engine.fitting.metrics import auc, ece
from adascale.engine.strategies import Adaptive

from ..common import close, table
from . import recorded_draws
from .at_equal_tokens import (
    ADAPTIVE,
    COLUMNS,
    LEAD,
    RIGHT,
    STOPPING_OF_BOTH,
    Array,
    Cell,
    compare,
    play_stopping,
)
from .calibration_check import Rows, predictions

RULE = Adaptive(modes=("program", "prose"))
BESIDE = {"a lead of two": LEAD, **STOPPING_OF_BOTH}


@dataclass(frozen=True, slots=True)
class Played:
    """The rule on one file.

    Attributes:
        prior: Prior accuracy by the size of the model.
        results: ``[questions, COLUMNS]``, means over orders (``at_equal_tokens.Cell``).
        answers: Probability of each answer, with its outcome.
        solutions: Mean number of solutions.
    """

    prior: float
    results: Array
    answers: Rows
    solutions: float


def play_rule(path: Path, orders: int) -> Played:
    """Play the rule on every question of a file, in as many orders."""
    prior = recorded_draws.expected_rate(recorded_draws.load(path)[0])
    header, driver, problems = recorded_draws.replay_driver(
        path, orders, calibrated=False, calibrator=VotePosterior(prior)
    )
    at = {problem.id: index for index, problem in enumerate(problems)}
    results, solutions = np.zeros((len(problems), COLUMNS)), 0
    answers: Rows = []
    entry = Contestant(ADAPTIVE, recorded_draws.within(RULE, header))
    for outcome in evaluate(driver, [entry], problems, orders, header["seed"]):
        usage, p = outcome.usage, outcome.confidence
        found = (outcome.right, usage.generated_tokens, usage.seconds, usage.flops)
        results[at[outcome.problem]] += found
        solutions += outcome.finished
        if p is not None and p.calibrated:
            answers.append((at[outcome.problem], (p.lower, p.median, p.upper), outcome.right, 1))
    return Played(prior, results / orders, answers, solutions / orders / len(problems))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--orders", type=int, default=24)
    args = parser.parse_args()
    cells, rows = [], []
    for path in args.files:
        ours = play_rule(path, args.orders)
        families = play_stopping(path, BESIDE, args.orders)
        cells.append(Cell(path.name.removesuffix(".jsonl.gz"), {ADAPTIVE: ours.results}, families))
        data = predictions(ours.answers)
        right, tokens, *_ = ours.results.mean(axis=0)
        rows.append(
            [
                cells[-1].name,
                f"{ours.prior:.2f}",
                f"{right:.3f}",
                f"{tokens:,.0f}",
                f"{ours.solutions:.1f}",
                f"{ece(data):.2f}",
                f"{auc(data):.2f}",
            ]
        )
    table(["cell", "prior", "accuracy", "tokens", "solutions", "ECE", "AUC"], rows)
    found = {name: compare(group, [f"{f}=" for f in BESIDE]) for name, group in _groups(cells).items()}
    lines = [
        [
            name,
            row.rule,
            f"{row.accuracy:.3f}",
            f"{row.gain:+.3f} ({row.gain_ci[0]:+.3f} to {row.gain_ci[1]:+.3f})",
        ]
        for name, each in found.items()
        for row in each
    ]
    table(["cells", "beside", "accuracy", "the rule is better by"], lines)
    pooled = np.concatenate([cell.results[ADAPTIVE] for cell in cells]).mean(axis=0)
    close({"accuracy": float(pooled[RIGHT]), "cells": rows, "beside": lines})


def _groups(cells: list[Cell]) -> dict[str, list[Cell]]:
    return {"pooled": cells, **{cell.name: [cell] for cell in cells}}


if __name__ == "__main__":
    main()
