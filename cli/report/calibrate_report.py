"""Calibrations as text: metrics by stage, reliability tables, and cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from adascale.engine.decimals import decimal

from ..terminal.text import columns

if TYPE_CHECKING:
    from adascale.engine.calibration.figures import BaselineReport, Bin, Number, StageReport
    from adascale.models.calibration.artefact import Artefact

STAGE_NAMES: Mapping[str, str] = {
    "question": "question",
    "step": "unfinished",
    "finished": "finished",
    "program question": "question for a program",
    "program": "program",
    "task": "code task",
    "code": "code",
    "look": "options read",
    "answer": "answer",
}
"""Names of the stages on the screen, in the order of a search."""
_MEASURES = ("BRIER", "SKILL", "(95 %)", "ECE", "NOISE", "AUC", "WITHIN", "COVERAGE")
_HEADER = ("STAGE", "N", "QUESTIONS", "CORRECT", *_MEASURES)
_BAR = 30


def report_text(stages: Mapping[str, StageReport]) -> str:
    """Metrics of all stages, then one reliability table per stage."""
    ordered = [(shown, stages[name]) for name, shown in STAGE_NAMES.items() if name in stages]
    rows = [_HEADER, *(_stage_row(name, stage) for name, stage in ordered)]
    for name, stage in ordered:
        baselines = (("length alone", stage.surface), ("raw score", stage.raw))
        rows += [_baseline_row(f"{name}, {what}", found) for what, found in baselines if found is not None]
    tables = [f"{name}: estimated, observed\n{_reliability(stage.reliability)}" for name, stage in ordered]
    return "\n\n".join([columns(rows, "<" + ">" * (len(_HEADER) - 1)), *tables])


def card_text(artefact: Artefact) -> str:
    """One calibration: its data, models and settings, and its metrics."""
    card, fingerprint = artefact.card, artefact.card.fingerprint
    facts = [
        ("name", card.name),
        ("level", card.level),
        ("file", artefact.path),
        ("data", ", ".join(card.data)),
        ("questions", f"{len(card.questions):,}"),
        ("solutions", f"{card.samples} in prose, {card.programs} programs"),
        ("seed", str(card.seed)),
        ("generator", fingerprint.generator),
        ("prm", fingerprint.prm or fingerprint.prm_format),
        ("sampler", ", ".join(f"{k} {v}" for k, v in fingerprint.sampling.items())),
        ("versions", ", ".join(f"{k} {v}" for k, v in card.versions.items())),
    ]
    table = "\n".join(f"{key:<12}{value}" for key, value in facts if value)
    unit = "model" if card.level == "portable" else "question"
    return f"{table}\n\nHeld out by {unit}:\n\n{report_text(card.held_out)}"


def list_text(artefacts: Sequence[Artefact]) -> str:
    """One line per calibration."""
    rows = [("NAME", "LEVEL", "QUESTIONS", "SKILL", "ECE", "DATA")]
    for card in (artefact.card for artefact in artefacts):
        finished = card.finished
        data = ", ".join(card.data)
        cells = (f"{len(card.questions):,}", cell(finished.skill), cell(finished.ece), data)
        rows.append((card.name, card.level, *cells))
    return columns(rows, "<<>>><")


def _stage_row(name: str, stage: StageReport) -> tuple[str, ...]:
    low, high = stage.intervals["skill"]
    return (
        name,
        f"{stage.n:,}",
        f"{stage.questions:,}",
        cell(stage.base_rate),
        cell(stage.brier),
        cell(stage.skill),
        f"({cell(low)} {cell(high)})",
        cell(stage.ece),
        cell(stage.ece_floor),
        cell(stage.auc),
        cell(stage.auc_within) if stage.auc_within is not None else "",
        cell(stage.coverage),
    )


def _baseline_row(name: str, found: BaselineReport) -> tuple[str, ...]:
    cells = (cell(found.brier), cell(found.skill), "", cell(found.ece), "", cell(found.auc), "", "")
    return (name, "", "", "", *cells)


def cell(value: Number) -> str:
    """``.812``, or ``-`` if it is not defined."""
    return "-" if value is None else decimal(value)


def _reliability(bins: Iterable[Bin]) -> str:
    lines = []
    for b in bins:
        bar = "#" * round(b.observed * _BAR)
        at = min(round(b.estimate * _BAR), _BAR - 1)
        # The estimate's own place is marked, so that the eye compares the bar's end with it.
        drawn = bar.ljust(_BAR)
        lines.append(f"  {cell(b.estimate)}  {cell(b.observed)}  {drawn[:at]}|{drawn[at + 1 :]}".rstrip())
    return "\n".join(lines)
