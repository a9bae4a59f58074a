"""How good a calibration is on other questions, from recorded solutions (``bench.evidence.draw``).

Usage: ``python -m bench.evidence.calibration_check FILE.jsonl.gz ...``

Each question has as many outcomes as samples; a step has one, that of its own solution, so the width of step
intervals cannot be judged. Answers are those of searches of one, two, four and all of the samples. Where
all questions were drawn as programs too, these count as well, and a search may have solutions of both modes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adascale.engine.answers.equality import is_right
from adascale.engine.calibration import fit
from adascale.engine.calibration.features import FINISHED, QUESTION_STAGES, STAGES_OF, Stage
from adascale.engine.calibration.fit import Sample, answer_examples
from adascale.engine.calibration.head import Calibration
from adascale.engine.calibration.metrics import Predictions

from ..common import close
from ..metrics import full_report
from . import recorded_draws

Rows = list[tuple[int, Sequence[float], float, float]]
"""Question, quantiles, right and all outcomes of each prefix."""


def predictions(rows: Rows, *, independent: bool = True) -> Predictions:
    question, quantiles, right, total = zip(*rows, strict=True)
    return Predictions(
        np.array(question),
        np.array(quantiles),
        np.array(right, float),
        np.array(total, float),
        independent=np.full(len(rows), independent),
    )


def read_stages(
    records: Sequence[Mapping[str, Any]],
) -> tuple[dict[Stage, Rows], list[list[Sample]]]:
    """Rows of every stage of the modes that all questions were drawn in, and the samples of each question."""
    drawn = [recorded_draws.by_mode(record) for record in records]
    modes = [mode for mode in FINISHED if all(mode in own for own in drawn)]
    rows: dict[Stage, Rows] = {stage: [] for mode in modes for stage in STAGES_OF[mode]}
    questions = []
    for at, (record, own) in enumerate(zip(records, drawn, strict=True)):
        samples: list[Sample] = []
        for mode in modes:
            solutions, finished = own[mode]["samples"], rows[FINISHED[mode]]
            right = [is_right(solution["answer"], gold=record["gold"]) for solution in solutions]
            rows[QUESTION_STAGES[mode]].append((at, own[mode]["question"], sum(right), len(right)))
            for good, solution in zip(right, solutions, strict=True):
                answer, (*begun, end) = solution["answer"], solution["estimates"]
                # A search leaves out runs that were cut off without an answer when it chooses: so does this.
                if answer is not None or solution["finish"] == "stop":
                    samples.append(Sample(len(finished), answer, good, mode))
                finished.append((at, end, good, 1))
                if mode == "prose":
                    rows["step"] += [(at, estimate, good, 1) for estimate in begun]
        questions.append(samples)
    return rows, questions


def check(records: Sequence[Mapping[str, Any]], calibration: Calibration) -> dict[str, Predictions]:
    """Estimates of each stage with their outcomes.

    Args:
        records: Records of questions with known answers.
        calibration: The one that their estimates were made with.
    """
    rows, samples = read_stages(records)
    stages: dict[str, Predictions] = {
        stage: predictions(found, independent=stage != "step") for stage, found in rows.items() if found
    }
    searches = [*answer_examples(samples, stages, calibration.spreads, seed=0)]
    return {**stages, "answer": fit.predictions(calibration.models["answer"], searches)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--calibration", type=Path, help="the file that the estimates were made with")
    args = parser.parse_args()
    headers, found = zip(*map(recorded_draws.load, args.files), strict=True)
    if len({header["calibration_sha256"] for header in headers}) > 1:
        parser.error("the files were drawn with several calibrations: check them one by one")
    records = [record for own in found for record in own]
    stages = full_report(check(records, recorded_draws.calibration_of(headers[0], args.calibration)))
    close({"model": headers[0]["model"], "questions": len(records), "stages": stages})


if __name__ == "__main__":
    main()
