"""A threshold with a promise: from which probability on at most so many labels are wrong.

Rows whose label is known are split at random. One half chooses the threshold that looks safest; the other
one tests it, then lower ones in turn, up to the first that fails, so that no choice flatters itself (fixed
sequence testing, as in Learn then Test, arXiv 2110.01052). A test is the one-sided lower bound of Clopper and
Pearson (Biometrika 26, 1934): 95 of 100 promises hold, if other rows are like the known ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

CONFIDENCE = 0.95
"""Probability that a promise holds."""

Known = tuple[float, bool]
"""Probability of a label, and whether it is correct."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A threshold and the known rows above it.

    Attributes:
        threshold: Probability of a label from which on it holds.
        rows: Known rows of the test half at or above the threshold.
        correct: Those of them whose label is correct.
    """

    threshold: float
    rows: int
    correct: int


def promise(chosen: Sequence[Known], tested: Sequence[Known], target: float) -> Promise | None:
    """The lowest threshold above which enough labels are correct; None if there is none.

    Args:
        chosen: Half of the known rows; it chooses the first threshold.
        tested: The other half.
        target: Share of correct labels, in (0, 1).
    """
    thresholds = sorted({p for p, _ in chosen}, reverse=True)
    best = min(thresholds, key=lambda each: _tail(*_above(chosen, each), target), default=1.0)
    longest: Promise | None = None
    for threshold in thresholds[thresholds.index(best) :] if thresholds else ():
        rows, correct = _above(tested, threshold)
        if _tail(rows, correct, target) > 1.0 - CONFIDENCE:
            break
        longest = Promise(threshold, rows, correct)
    return longest


def rows_needed(target: float) -> int:
    """Rows without a wrong label that a promise of so many correct ones takes: 59 for .95, 29 for .9."""
    return 1 + int(log(1.0 - CONFIDENCE) / log(target))


def _above(rows: Sequence[Known], threshold: float) -> tuple[int, int]:
    right = [is_right for p, is_right in rows if p >= threshold]
    return len(right), sum(right)


def _tail(rows: int, correct: int, share: float) -> float:
    """P(at least so many of the rows are correct), each with probability ``share`` in (0, 1)."""
    return sum(
        exp(
            lgamma(rows + 1) - lgamma(k + 1) - lgamma(rows - k + 1)
            + k * log(share) + (rows - k) * log(1.0 - share)
        )
        for k in range(correct, rows + 1)
    )  # fmt: skip
