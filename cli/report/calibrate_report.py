"""Calibration reports as plain text: metrics by stage, and reliability tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from adascale.engine.decimals import decimal

from ..terminal.console import short_path
from ..terminal.text import columns

if TYPE_CHECKING:
    from adascale.engine.calibration.metrics import Bin
    from adascale.engine.calibration.report import BaselineReport, Number, StageReport
    from adascale.models.calibration.artefact import Artefact

STAGE_NAMES: Mapping[str, str] = {
    "question": "question",
    "step": "unfinished",
    "finished": "finished",
    "program question": "question for a program",
    "program": "program",
    "task": "code task",
    "code": "code",
    "agreement": "finished, beside others",
    "answer": "answer",
}
"""Stages as people call them, in the order in which a search goes through them."""
_MEASURES = ("BRIER", "SKILL", "(95 %)", "ECE", "NOISE", "AUC", "WITHIN", "COVERAGE")
_HEADER = ("STAGE", "N", "QUESTIONS", "RIGHT", *_MEASURES)
_BAR = 30


def report_text(stages: Mapping[str, StageReport]) -> str:
    """Metrics of all stages, then one reliability table per stage."""
    ordered = _ordered(stages)
    rows = [_HEADER, *(_stage_row(name, stage) for name, stage in ordered)]
    for name, stage in ordered:
        beside = (("length alone", stage.surface), ("raw score", stage.raw))
        rows += [_row_beside(f"{name}, {what}", found) for what, found in beside if found is not None]
    tables = [f"{name}: estimated, observed\n{_reliability(stage.reliability)}" for name, stage in ordered]
    return "\n\n".join([columns(rows, "<" + ">" * (len(_HEADER) - 1)), *tables])


def _ordered(stages: Mapping[str, StageReport]) -> list[tuple[str, StageReport]]:
    """Stages with the names that people read, in the order in which a search goes through them."""
    return [(shown, stages[name]) for name, shown in STAGE_NAMES.items() if name in stages]


def card_text(artefact: Artefact) -> str:
    """One calibration: what it was fitted on, what it belongs to, how good it is."""
    card, fingerprint = artefact.card, artefact.card.fingerprint
    facts = [
        ("name", card.name),
        ("level", card.level),
        ("file", artefact.path),
        ("method", card.method),
        ("data", ", ".join(card.data)),
        ("questions", f"{len(card.questions):,}"),
        (
            "draws",
            f"{card.samples} samples, {card.rollouts} rollouts, {card.programs} programs, seed {card.seed}",
        ),
        ("generator", fingerprint.generator),
        ("prm", fingerprint.prm or fingerprint.prm_format),
        ("sampler", ", ".join(f"{k} {v}" for k, v in fingerprint.sampling.items())),
        ("versions", ", ".join(f"{k} {v}" for k, v in card.versions.items())),
    ]
    table = "\n".join(f"{key:<12}{value}" for key, value in facts if value)
    unit = "model" if card.level == "portable" else "question"
    return f"{table}\n\nHeld out by {unit}:\n\n{report_text(card.held_out)}"


def list_text(artefacts: Sequence[Artefact], *, files: bool = False) -> str:
    """One line per calibration; ``files`` adds where each lies."""
    rows = [("NAME", "LEVEL", "METHOD", "QUESTIONS", "SKILL", "ECE", "DATA")]
    for card in (artefact.card for artefact in artefacts):
        finished = card.finished
        data = ", ".join(card.data)
        cells = (f"{len(card.questions):,}", cell(finished.skill), cell(finished.ece), data)
        rows.append((card.name, card.level, card.method, *cells))
    align = "<<<>>><"
    if not files:
        return columns(rows, align)
    places = ["FILE", *(short_path(artefact.path) if artefact.path else "" for artefact in artefacts)]
    return columns([(*row, place) for row, place in zip(rows, places, strict=True)], f"{align}<")


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


def _row_beside(name: str, beside: BaselineReport) -> tuple[str, ...]:
    cells = (cell(beside.brier), cell(beside.skill), "", cell(beside.ece), "", cell(beside.auc), "", "")
    return (name, "", "", "", *cells)


def cell(value: Number) -> str:
    """``.812``, or ``-`` for what is not defined."""
    if value is None:
        return "-"
    return decimal(value)


def _reliability(bins: Iterable[Bin]) -> str:
    lines = []
    for b in bins:
        bar = "#" * round(b.observed * _BAR)
        at = min(round(b.estimate * _BAR), _BAR - 1)
        # The estimate's own place is marked, so that the eye compares the bar's end with it.
        drawn = bar.ljust(_BAR)
        lines.append(f"  {cell(b.estimate)}  {cell(b.observed)}  {drawn[:at]}|{drawn[at + 1 :]}".rstrip())
    return "\n".join(lines)
