"""Accuracy of a model by its size: a line through published scores.

Usage: ``python -m bench.evidence.model_sizes [--without Qwen]``

``published_scores.tsv`` has instruction-tuned dense models without thoughts that have a published GSM8K and a
published MATH or MATH-500, in per cent, each with the source of its scores. Prompts and shots differ, and
numbers for the same model do by 5 to 15 points. The line is the logit of the mean of both scores over the
logarithm of the parameters, up to 5 billion of them. Larger models are no better than those of 3 billion in
this table, as many of them are older: the line ends where it reaches their mean.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from adascale.engine.calibration.posterior import Array, logit

from ..common import close, table

SCORES = Path(__file__).parent / "published_scores.tsv"
LARGEST = 5.0
"""Billions of parameters of the largest model that the line goes through."""


def read_scores() -> list[Mapping[str, str]]:
    """The rows of the table."""
    with SCORES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def points(rows: Sequence[Mapping[str, str]]) -> tuple[Array, Array]:
    """``[n]`` logarithms of billions of parameters, and logits of mean scores."""
    billions = np.array([float(row["billions"]) for row in rows])
    scores = np.array([[float(row["gsm8k"]), float(row["math"])] for row in rows])
    return np.log(billions), logit(scores.mean(axis=1) / 100)


@dataclass(frozen=True, slots=True)
class Line:
    """Logits of being right over the logarithm of the parameters.

    Attributes:
        at_one_billion: Logit of a model of one billion.
        rise: What a factor of e adds to it.
        end: Billions of parameters at which it reaches the mean of the larger models.
        spread: Standard deviation of the models that it goes through.
    """

    at_one_billion: float
    rise: float
    end: float
    spread: float


def line_of(rows: Sequence[Mapping[str, str]]) -> Line:
    """Least squares through the smaller models."""
    size, right = points(rows)
    small = size <= np.log(LARGEST)
    rise, at_one_billion = np.polyfit(size[small], right[small], 1)
    off = right[small] - at_one_billion - rise * size[small]
    end = np.exp((right[~small].mean() - at_one_billion) / rise)
    return Line(float(at_one_billion), float(rise), float(end), float(off.std()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without", help="leave out models with this in their names")
    args = parser.parse_args()
    rows = [row for row in read_scores() if not args.without or args.without not in row["model"]]
    size, right = points(rows)
    cells = [[row["model"], row["billions"], row["gsm8k"], row["math"]] for row in rows]
    table(
        ["", "billions", "GSM8K", "MATH", "logit"],
        [[*cell, f"{x:.2f}"] for cell, x in zip(cells, right, strict=True)],
    )
    found, small = line_of(rows), int((size <= np.log(LARGEST)).sum())
    print(
        f"{found.at_one_billion:.2f} at one billion, {found.rise:.2f} for a factor of e, to {found.end:.1f}"
        f" billion; {small} models lie {found.spread:.2f} off it"
    )
    close(asdict(found))


if __name__ == "__main__":
    main()
