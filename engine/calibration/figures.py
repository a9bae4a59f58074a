"""The figures that a calibration carries: how good its estimates were on questions that were not fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..codec import omit

Number = float | None
"""A number of four digits; None where it is not defined."""


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram: weight, mean estimate, observed share of correct outcomes."""

    weight: float
    estimate: float
    observed: float


@dataclass(frozen=True, slots=True)
class BaselineReport:
    """Metrics of other estimates of the same prefixes, such as the raw reward read as a probability."""

    brier: Number
    skill: Number
    ece: Number
    auc: Number


@dataclass(frozen=True, slots=True)
class StageReport:
    """Metrics of the estimates of one stage on questions that were not fitted.

    Attributes:
        n: Number of prefixes.
        questions: Number of questions that they belong to.
        outcomes: Number of outcomes of all prefixes.
        base_rate, brier, skill, ece, auc, coverage, width: Metrics of ``metrics``.
        ece_floor: ECE that noise alone would show.
        intervals: 95 % intervals over questions, by the name of the metric.
        reliability: Bins of the reliability diagram.
        raw: The raw reward on the same prefixes, where it was given and the stage has one.
        surface: A cross-validated fit of length and format alone on the same prefixes: what the states add
            is the difference.
        auc_within: AUC within questions, of stages that have several prefixes of a question.
    """

    n: int
    questions: int
    outcomes: int
    base_rate: Number
    brier: Number
    skill: Number
    ece: Number
    auc: Number
    coverage: Number
    width: Number
    ece_floor: Number
    intervals: Mapping[str, tuple[Number, Number]]
    reliability: tuple[Bin, ...]
    raw: BaselineReport | None = field(default=None, metadata=omit(None))
    surface: BaselineReport | None = field(default=None, metadata=omit(None))
    auc_within: Number = field(default=None, metadata=omit(None))
