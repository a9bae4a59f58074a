"""A fit without answers against one with them: the same rollouts, folds and heads, judged by right answers.

Usage: ``python -m bench.evidence.unlabelled STORE.sqlite OTHER.sqlite ...``

What agreement means is fitted on the other stores, whose answers are known; the first store's solutions then
label each other. Both rows of a stage are estimates by heads that never saw the question.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from adascale.engine.calibration.fitting import Training, fit_calibration
from adascale.engine.calibration.head_fit import HeadConfig
from adascale.engine.calibration.metrics import Predictions
from adascale.engine.calibration.portable import fit_portable, join
from adascale.engine.calibration.report import StageReport, report
from adascale.engine.codec import to_plain
from adascale.models.calibration.training import label_by_agreement, training_set

from ..common import close, table
from .portable import read_models

_SHOWN = ("question", "step", "finished", "program question", "program")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("others", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    [(name, model)] = read_models([args.store]).items()
    others = [model.training() for model in read_models(args.others).values()]
    portable = fit_portable(join(others), args.seed).calibration
    labelled = [
        label_by_agreement(question, portable) for question in zip(model.prose, model.programs, strict=True)
    ]
    known = training_set(model.prose, None, model.programs)
    pseudo = training_set([prose for prose, _ in labelled], None, [programs for _, programs in labelled])
    fits = {"known": fit_calibration(known, "beta", HeadConfig(), args.seed)}
    fits["agreement"] = fit_calibration(pseudo, "beta", HeadConfig(), args.seed)
    stages = {label: report(_judged(fit.held_out, known)) for label, fit in fits.items()}
    print(f"{name}, {len(model.prose)} questions")
    rows = [_row(stage, label, stages[label][stage]) for stage in _SHOWN for label in fits]
    table(["stage", "labels", "n", "rate", "skill", "AUC", "ECE", "noise"], rows)
    close(to_plain(stages))


def _judged(held_out: Mapping[str, Predictions], known: Training) -> dict[str, Predictions]:
    """Estimates with the outcomes of the known answers."""
    return {stage: replace(held_out[stage], right=data.right) for stage, data in known.stages.items()}


def _row(stage: str, label: str, found: StageReport) -> list[str]:
    low, high = found.intervals["skill"]
    rate, skill, auc, ece, noise = (
        "-" if x is None else f"{x:.2f}"
        for x in (found.base_rate, found.skill, found.auc, found.ece, found.ece_floor)
    )
    return [stage, label, str(found.n), rate, f"{skill} ({low or 0:.2f} to {high or 0:.2f})", auc, ece, noise]


if __name__ == "__main__":
    main()
