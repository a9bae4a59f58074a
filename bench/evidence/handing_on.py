"""What a threshold of ``-o fallback_below`` keeps on this machine, and how much of that is correct.

Usage: ``python -m bench.evidence.handing_on NAME=FILE.jsonl.gz,FILE.jsonl.gz ... [--orders 2]``

A name is a model, its files are draws of its solutions (``recorded_draws``), on which ``adaptive`` is played.
A search whose answer has at least the probability of the threshold is kept, any other is handed on. Intervals
are 95 %, over questions that are drawn again (2,000 rounds).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..common import close, table
from ..evaluation.evaluate import Contestant, evaluate
from . import recorded_draws

Array = NDArray[np.float64]

THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
ROUNDS = 2000


def play(path: Path, orders: int) -> Array:
    """Probability (0 without an answer) and outcome of each search, ``[questions, orders, 2]``."""
    header, driver, problems, _ = recorded_draws.replay_driver(path, orders)
    entry = Contestant("adaptive", recorded_draws.adaptive(header))
    found: dict[str, list[tuple[float, float]]] = {problem.id: [] for problem in problems}
    for outcome in evaluate(driver, [entry], problems, orders, header["seed"]):
        p = outcome.confidence
        found[outcome.problem].append((p.median if p is not None else 0.0, float(outcome.right)))
    return np.array(list(found.values()))


def row(searches: Array, threshold: float) -> list[str]:
    """Threshold, share kept (of how many questions), share correct among the kept, and among the others.

    Where all draws of questions agree, as where no kept answer is wrong, they tell of no interval.
    """
    kept, right = searches[..., 0] >= threshold, searches[..., 1]
    shares = [f"{threshold:g}", f"{kept.mean():.2f} ({kept.any(axis=1).sum()})"]
    others = f"{right[~kept].mean():.2f}"
    if not kept.any():
        return [*shares, "", others]
    again = np.random.default_rng(0).integers(len(searches), size=(ROUNDS, len(searches)))
    counts, hits = kept[again].sum(axis=(1, 2)), (kept * right)[again].sum(axis=(1, 2))
    low, high = np.quantile(hits[counts > 0] / counts[counts > 0], [0.025, 0.975])
    interval = f" ({low:.2f} to {high:.2f})" if low < high else ""
    return [*shares, f"{right[kept].mean():.2f}{interval}", others]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="NAME=FILE,FILE")
    parser.add_argument("--orders", type=int, default=2)
    args = parser.parse_args()
    rows: list[Sequence[str]] = []
    for given in args.models:
        name, _, files = given.partition("=")
        searches = np.concatenate([play(Path(file), args.orders) for file in files.split(",")])
        own = f"{name}: {len(searches)} questions, {searches[..., 1].mean():.2f} correct"
        rows += [[own, *row(searches, threshold)] for threshold in THRESHOLDS]
    head = [
        "model",
        "threshold",
        "kept (questions)",
        "correct among the kept (95 %)",
        "among those handed on",
    ]
    table(head, [list(each) for each in rows])
    close({"rows": rows})


if __name__ == "__main__":
    main()
