"""How good a calibration is, from recorded solutions: what ``adascale calibrate check --json`` says.

Usage: ``python -m bench.evidence.calibration_check FILE.jsonl.gz ... > both.json``, then
``python -m bench.evidence.calibration both=both.json``

Each question has as many outcomes as samples; a step has one, that of its own solution, so the width of step
intervals cannot be judged. Answers are those of searches of every size, played back from the samples.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adascale.engine.answers.equality import is_right
from adascale.engine.calibration.fitting import QuestionSamples, Training, answer_data
from adascale.engine.calibration.metrics import Predictions
from adascale.engine.calibration.report import report
from adascale.engine.search.codec import to_plain

from ..common import close
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--calibration", type=Path, help="the file that the estimates were made with")
    args = parser.parse_args()
    questions: Rows = []
    steps: Rows = []
    ends: Rows = []
    samples: list[QuestionSamples] = []
    for path in args.files:
        header, found = recorded_draws.load(path)
        for record in found:
            at = len(questions)
            right = [is_right(solution["answer"], gold=record["gold"]) for solution in record["samples"]]
            questions.append((at, record["question"], sum(right), len(right)))
            first = len(ends)
            for good, solution in zip(right, record["samples"], strict=True):
                *begun, end = solution["estimates"]
                steps += [(at, estimate, good, 1) for estimate in begun]
                ends.append((at, end, good, 1))
            # A search leaves out runs that were cut off without an answer when it chooses, and so does this.
            whole = [
                i
                for i, solution in enumerate(record["samples"])
                if solution["answer"] is not None or solution["finish"] == "stop"
            ]
            answers = tuple(record["samples"][i]["answer"] for i in whole)
            rows = tuple(first + i for i in whole)
            samples.append(QuestionSamples(at, rows, answers, tuple(right[i] for i in whole)))
    calibration = recorded_draws.calibration_of(header, args.calibration)
    stages = {
        "question": predictions(questions),
        "step": predictions(steps, independent=False),
        "finished": predictions(ends),
    }
    answers_ = answer_data(
        Training({}, samples), stages["question"].quantiles, stages["finished"].quantiles, 0
    )
    stages["answer"] = answers_.predictions(calibration.answer.quantiles(answers_.evidence))
    close({"model": header["model"], "questions": len(questions), "stages": to_plain(report(stages))})


if __name__ == "__main__":
    main()
