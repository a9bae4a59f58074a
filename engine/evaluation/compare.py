"""Outcomes of strategies beside each other: what each gets right, what it costs, how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..calibration.metrics import Predictions, ece, ece_floor
from .evaluate import CLASSES, SURE, Contestant, Outcome

Array = NDArray[np.float64]

ROUNDS = 2000
"""Of every bootstrap."""


@dataclass(slots=True)
class Comparison:
    """Outcomes by entry and question, and what follows from them.

    Attributes:
        entries: In the order of the report.
        problems: Ids, in order.
        outcomes: Of each entry and question, one for each repeat.
    """

    entries: Sequence[Contestant]
    problems: Sequence[str]
    outcomes: dict[tuple[str, str], list[Outcome]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Take the next outcome."""
        self.outcomes.setdefault((outcome.entry, outcome.problem), []).append(outcome)

    def report(self) -> dict[str, Any]:
        """``strategies`` and ``pairs``: means over questions, ratios of means, 95 % intervals."""
        classes = self.classes()
        return {
            "strategies": [self._strategy(entry, classes) for entry in self.entries],
            "pairs": [
                self._pair(a.name, b.name) for i, a in enumerate(self.entries) for b in self.entries[:i]
            ],
        }

    def column(self, entry: str, name: str) -> Array:
        """``[questions]`` means over repeats of a number of ``Outcome`` or its usage."""
        found = [self.outcomes[entry, problem] for problem in self.problems]
        return np.array([np.mean([_number(o, name) for o in outcomes]) for outcomes in found])

    def classes(self) -> list[str]:
        """``[questions]``, from all draws of the entry that drew most."""
        totals: Mapping[str, int] = Counter(
            {
                e.name: sum(o.finished for p in self.problems for o in self.outcomes[e.name, p])
                for e in self.entries
            }
        )
        most = max(totals, key=lambda name: totals[name])
        return [_difficulty(self.outcomes[most, problem]) for problem in self.problems]

    def _strategy(self, entry: Contestant, classes: Sequence[str]) -> dict[str, Any]:
        right = self.column(entry.name, "right")
        covered = self.column(entry.name, "covered")
        every = [o for problem in self.problems for o in self.outcomes[entry.name, problem]]
        return {
            "name": entry.name,
            "strategy": entry.strategy.name,
            "settings": entry.strategy.recorded(),
            "questions": len(self.problems),
            "repeats": len(every) // len(self.problems),
            "accuracy": right.mean(),
            "accuracy_ci": interval(lambda at: right[at].mean(axis=-1), len(right)),
            "coverage": covered.mean(),
            "selection": right.sum() / covered.sum() if covered.any() else None,
            **{
                name: self.column(entry.name, name).mean()
                for name in ("generated_tokens", "prm_tokens", "flops", "seconds", "samples")
            },
            **_calibration(every),
            "sure": _sure(every),
            "stopped": dict(Counter(o.stop_reason or "failed" for o in every)),
            "by_difficulty": {name: self._class(entry.name, classes, name) for name in CLASSES},
        }

    def _class(self, entry: str, classes: Sequence[str], name: str) -> dict[str, Any]:
        rows = np.array([c == name for c in classes])
        tokens, right = self.column(entry, "generated_tokens"), self.column(entry, "right")
        return {
            "questions": int(rows.sum()),
            "accuracy": right[rows].mean() if rows.any() else None,
            "generated_tokens": tokens[rows].mean() if rows.any() else None,
        }

    def _pair(self, a: str, b: str) -> dict[str, Any]:
        """``a`` against ``b`` on the same questions; ratios are None where ``b`` cost nothing."""
        difference = self.column(a, "right") - self.column(b, "right")
        pair = {
            "a": a,
            "b": b,
            "accuracy_diff": difference.mean(),
            "accuracy_diff_ci": interval(lambda at: difference[at].mean(axis=-1), len(difference)),
        }
        for short, name in (("tokens", "generated_tokens"), ("flops", "flops"), ("seconds", "seconds")):
            x, y = self.column(a, name), self.column(b, name)
            known = bool(y.any())
            pair[f"{short}_ratio"] = x.mean() / y.mean() if known else None
            pair[f"{short}_ratio_ci"] = _ratio_interval(x, y) if known else None
        return pair


def interval(statistic: Callable[[NDArray[np.int64]], Array], questions: int) -> list[float]:
    """95 % bootstrap interval; ``statistic`` maps ``[rounds, questions]`` indices to ``[rounds]``."""
    rng = np.random.default_rng(0)
    found = statistic(rng.integers(0, questions, (ROUNDS, questions)))
    return [float(q) for q in np.quantile(found, [0.025, 0.975])]


def _ratio_interval(x: Array, y: Array) -> list[float]:
    return interval(lambda at: x[at].sum(axis=-1) / np.maximum(y[at].sum(axis=-1), 1e-12), len(x))


def _number(outcome: Outcome, name: str) -> float:
    match name:
        case "right":
            return float(outcome.right)
        case "covered":
            return float(outcome.found > 0)
        case "samples":
            return float(outcome.finished)
        case _:
            return float(getattr(outcome.usage, name))


def _difficulty(outcomes: Sequence[Outcome]) -> str:
    share = sum(o.found for o in outcomes) / max(1, sum(o.finished for o in outcomes))
    return CLASSES[(share > 0) + (share >= 0.25) + (share > 0.75)]


def _calibration(outcomes: Sequence[Outcome]) -> dict[str, float | None]:
    """ECE of the answers' probabilities, and what noise alone makes of it; None where that is not known."""
    known = [(o.confidence, o) for o in outcomes if o.confidence is not None and o.confidence.calibrated]
    if not known:
        return {"ece": None, "ece_floor": None}
    names = {problem: at for at, problem in enumerate({o.problem: None for _, o in known})}
    question = np.array([names[o.problem] for _, o in known])
    quantiles = np.array([[c.lower, c.median, c.upper] for c, _ in known])
    right = np.array([float(o.right) for _, o in known])
    data = Predictions(question, quantiles, right, np.ones(len(known)))
    floor = ece_floor(data)
    return {"ece": float(ece(data)), "ece_floor": None if np.isnan(floor) else floor}


def _sure(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Share of searches whose answer has at least ``SURE``, and how many of those are right."""
    sure = [o for o in outcomes if o.confidence and o.confidence.calibrated and o.confidence.median >= SURE]
    accuracy = sum(o.right for o in sure) / len(sure) if sure else None
    return {"at": SURE, "share": len(sure) / max(1, len(outcomes)), "accuracy": accuracy}
