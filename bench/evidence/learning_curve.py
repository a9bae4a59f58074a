"""How much a calibration gains from more questions: the same fit on fewer of them.

Usage: ``python -m bench.evidence.learning_curve STORE.sqlite [--sizes 30 60 100] [--repeats 4]``

The store has rollouts with states (``calibrate fit``, or ``read_states``). Each repeat deals the questions
into five folds; every fold is estimated by fits on the first 30, 60, ... of the others, in one random order,
so that a larger fit has all that a smaller one has. Measured within a data set, mean over data sets: skill
and AUC of the question, of a finished solution, of the answer, and the AUC of solutions within a question.
In brackets: the standard deviation over repeats.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adascale.engine.fitting.calibration import Training, fit_calibration
from adascale.engine.fitting.head import HeadConfig
from adascale.engine.fitting.metrics import Predictions, auc, auc_within, skill
from adascale.engine.fitting.report import measure
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.calibration.training import training_set

from ..common import close, table

FOLDS = 5
METRICS = (skill, auc, auc_within)

Places = NDArray[np.int64]
Pair = tuple[Rollouts, Rollouts]


def pairs(path: Path) -> list[Pair]:
    """Questions that were drawn in both modes, in an order that the store does not decide."""
    with closing(RolloutStore(path)) as store:
        found: dict[str, dict[str, Rollouts]] = defaultdict(dict)
        for rollouts in store.every():
            found[rollouts.problem.id][rollouts.mode] = rollouts
    return [(each["prose"], each["program"]) for _, each in sorted(found.items()) if len(each) == 2]


def training_of(questions: Sequence[Pair]) -> Training:
    prose, programs = zip(*questions, strict=True)
    return training_set(prose, programs=programs)


def estimates(questions: Sequence[Pair], size: int, order: Places) -> dict[str, Predictions]:
    """Estimates of every question by fits on ``size`` others; questions are numbered by place."""
    parts: dict[str, list[Predictions]] = defaultdict(list)
    for fold in range(FOLDS):
        held, others = order[fold::FOLDS], np.delete(order, np.s_[fold::FOLDS])[:size]
        fitted = fit_calibration(training_of([questions[at] for at in others]), "beta", HeadConfig(), fold)
        found = measure(fitted.calibration, training_of([questions[at] for at in held]), fold)
        for stage, data in found.items():
            parts[stage].append(replace(data, question=held[data.question]))
    return {stage: _joined(found) for stage, found in parts.items()}


def _joined(parts: Sequence[Predictions]) -> Predictions:
    return Predictions(
        np.concatenate([each.question for each in parts]),
        np.concatenate([each.quantiles for each in parts]),
        np.concatenate([each.right for each in parts]),
        np.concatenate([each.total for each in parts]),
        independent=np.concatenate([each.independent for each in parts]),
    )


def figures(data: Predictions, sets: Sequence[Places]) -> list[float]:
    """Each metric, as its mean over the data sets."""
    found = []
    for own in sets:
        of_set = data.take(np.flatnonzero(np.isin(data.question, own)), data.weights())
        found.append([metric(of_set) for metric in METRICS])
    return [float(value) for value in np.nanmean(found, axis=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[30, 60, 100])
    parser.add_argument("--repeats", type=int, default=4)
    args = parser.parse_args()
    questions = pairs(args.store)
    names = np.array([prose.problem.id.split("-")[0] for prose, _ in questions])
    sets = [np.flatnonzero(names == name) for name in np.unique(names)]
    found: dict[tuple[str, int], list[list[float]]] = defaultdict(list)
    for repeat in range(args.repeats):
        order = np.random.default_rng(repeat).permutation(len(questions))
        for size in args.sizes:
            for stage, data in estimates(questions, size, order).items():
                found[stage, size].append(figures(data, sets))
    lines = []
    for stage in dict.fromkeys(stage for stage, _ in found):
        for at, metric in enumerate(METRICS):
            values = [np.array(found[stage, size])[:, at] for size in args.sizes]
            lines.append([stage, metric.__name__, *(f"{v.mean():.3f} ({v.std():.3f})" for v in values)])
    table(["stage", "metric", *map(str, args.sizes)], lines)
    close({"questions": len(questions), "sets": [len(own) for own in sets], "lines": lines})


if __name__ == "__main__":
    main()
