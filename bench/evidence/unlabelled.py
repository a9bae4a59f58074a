"""A fit without answers against one with them: the same rollouts, folds and heads, judged by right answers.

Usage: ``python -m bench.evidence.unlabelled STORE.sqlite [--rate .31]``

Solutions of the store that ``adascale calibrate fit`` keeps label each other, by the posterior of their votes
(``engine.calibration.votes``). Both rows of a stage are estimates by heads that never saw the question.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from adascale.engine.calibration.figures import StageReport
from adascale.engine.calibration.votes import VotePosterior
from adascale.engine.codec import to_plain
from adascale.engine.fitting.calibration import Training, fit_calibration
from adascale.engine.fitting.head import HeadConfig
from adascale.engine.fitting.metrics import Predictions
from adascale.engine.fitting.report import report
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.calibration.training import label_by_agreement, training_set

from ..common import close, table

_SHOWN = ("question", "step", "finished", "program question", "program")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--rate", type=float, default=0.5, help="prior accuracy of the model")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    drawn = questions_of(args.store)
    prose, programs = zip(*drawn, strict=True)
    labelled = [label_by_agreement(question, VotePosterior(args.rate)) for question in drawn]
    known = training_set(prose, programs)
    pseudo = training_set(*zip(*labelled, strict=True))
    fits = {"known": fit_calibration(known, "beta", HeadConfig(), args.seed)}
    fits["agreement"] = fit_calibration(pseudo, "beta", HeadConfig(), args.seed)
    stages = {label: report(_judged(fit.held_out, known)) for label, fit in fits.items()}
    print(f"{args.store.stem}, {len(drawn)} questions")
    rows = [_row(stage, label, stages[label][stage]) for stage in _SHOWN for label in fits]
    table(["stage", "labels", "n", "rate", "skill", "AUC", "ECE", "noise"], rows)
    close(to_plain(stages))


def questions_of(path: Path) -> list[tuple[Rollouts, Rollouts]]:
    """Prose and programs of each question of a store that has both."""
    with closing(RolloutStore(path)) as store:
        every = [(each, store.get(each.problem, "program")) for each in store.every() if each.mode == "prose"]
    return [(prose, programs) for prose, programs in every if programs is not None]


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
