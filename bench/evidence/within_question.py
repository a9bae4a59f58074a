"""Measures how much a difference between the estimates of two solutions of one question is worth.

Usage: ``python -m bench.evidence.within_question STORE.sqlite ...``

A store is what ``adascale calibrate fit`` keeps of a generator. Every right solution of a question is paired
with every wrong one of the same mode that has an answer; the slope is the factor of the difference of their
log-odds that makes it most likely which is which (conditional logistic regression, every question weighs the
same). 1 is what a calibrated estimate has. Estimates are of held-out questions, by heads that were fitted on
the model itself, and of the held-out model, by those of the others (``engine.calibration.portable``).
Intervals are 90 %, over questions that are drawn again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adascale.engine.answers.lookahead import log_odds
from adascale.engine.calibration.fitting import Training, candidates_of, fit_calibration
from adascale.engine.calibration.head_fit import HeadConfig
from adascale.engine.calibration.metrics import Predictions
from adascale.engine.calibration.portable import fit_portable, join
from adascale.engine.types import Mode

from ..common import close, table
from .portable import read_models

Array = NDArray[np.float64]

MODES: tuple[Mode, ...] = ("prose", "program")
ROUNDS = 200
STEPS = 50
FEWEST = 5
"""Questions with a right and a wrong solution below which nothing is said."""


def differences(
    training: Training, estimates: Mapping[str, Predictions], mode: Mode, questions: range
) -> list[Array]:
    """Log-odds of each right solution over those of each wrong one, question by question."""
    found = []
    for each in training.samples:
        samples = [s for s in each.samples if s.mode == mode and s.answer is not None]
        if each.question not in questions or len({s.right > 0.5 for s in samples}) < 2:
            continue
        odds = [log_odds(c.estimate.median) for c in candidates_of(samples, estimates)]
        right = [o for o, s in zip(odds, samples, strict=True) if s.right > 0.5]
        wrong = [o for o, s in zip(odds, samples, strict=True) if s.right <= 0.5]
        found.append(np.subtract.outer(right, wrong).ravel())
    return found


def slope(questions: Sequence[Array]) -> float:
    """The most likely factor, by Newton's method."""
    beta = 1.0
    for _ in range(STEPS):
        gradient = curvature = 0.0
        for apart in questions:
            p = 1.0 / (1.0 + np.exp(-beta * apart))
            gradient += float(((1.0 - p) * apart).mean())
            curvature += float((p * (1.0 - p) * apart**2).mean())
        beta += float(np.clip(gradient / max(curvature, 1e-9), -0.5, 0.5))
    return beta


def row(questions: Sequence[Array]) -> list[str]:
    """Questions, AUC within them, slope and its interval."""
    if len(questions) < FEWEST:
        return [str(len(questions)), "-", "-", "-"]
    rng = np.random.default_rng(0)
    again = [
        slope([questions[at] for at in rng.integers(0, len(questions), len(questions))])
        for _ in range(ROUNDS)
    ]
    low, high = np.quantile(again, [0.05, 0.95])
    auc = np.mean([(apart > 0).mean() + (apart == 0).mean() / 2 for apart in questions])
    return [str(len(questions)), f"{auc:.2f}", f"{slope(questions):.2f}", f"{low:.2f} to {high:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    models = read_models(args.stores)
    rows: list[list[str]] = []
    trainings = {name: model.training() for name, model in models.items()}
    for name, training in trainings.items():
        own = fit_calibration(training, "beta", HeadConfig(), args.seed).held_out
        everything = range(len(training.samples))
        rows += [[name, "itself", m, *row(differences(training, own, m, everything))] for m in MODES]
    joined = join(list(trainings.values()))
    others = fit_portable(joined, args.seed).held_out
    ends = np.cumsum([0, *(len(training.samples) for training in trainings.values())])
    for name, first, last in zip(models, ends, ends[1:], strict=False):
        rows += [[name, "others", m, *row(differences(joined, others, m, range(first, last)))] for m in MODES]
    header = ["model", "fitted on", "mode", "questions", "AUC", "slope", "90 %"]
    table(header, rows)
    close({"rows": rows})


if __name__ == "__main__":
    main()
