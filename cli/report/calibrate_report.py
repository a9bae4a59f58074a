"""Calibration reports as plain text: metrics by stage, and reliability tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adascale.engine.decimals import decimal

from .tables import columns

_NAMES = {"question": "question", "step": "unfinished", "finished": "finished", "answer": "answer"}
_HEADER = ("STAGE", "N", "QUESTIONS", "RIGHT", "BRIER", "SKILL", "(95 %)", "ECE", "NOISE", "AUC", "COVERAGE")
_BAR = 30


def report_text(stages: Mapping[str, Any]) -> str:
    """Metrics of all stages, then one reliability table per stage."""
    rows = [_HEADER, *(_row(_NAMES[name], data) for name, data in _ordered(stages))]
    for name, data in _ordered(stages):
        if "raw" in data:
            raw = data["raw"]
            cells = (f"{_NAMES[name]}, raw score", "", "", "", raw["brier"], raw["skill"], "", raw["ece"], "")
            rows.append((*map(_cell, cells), _cell(raw["auc"]), ""))
    parts = [columns(rows, "<" + ">" * (len(_HEADER) - 1))]
    for name, data in _ordered(stages):
        parts.append(f"{_NAMES[name]}: estimated, observed\n" + _reliability(data["reliability"]))
    return "\n\n".join(parts)


def _ordered(stages: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """As a search goes through them; JSON has them in alphabetical order."""
    return [(name, stages[name]) for name in _NAMES if name in stages]


def card_text(card: Mapping[str, Any]) -> str:
    """One calibration: what it was fitted on, what it belongs to, how good it is."""
    print_ = card["fingerprint"]
    facts = [
        ("name", card["name"]),
        ("file", card["file"]),
        ("method", card["method"]),
        ("data", ", ".join(card["data"])),
        ("questions", f"{card['questions']:,}"),
        ("draws", f"{card['samples']} samples, {card['rollouts']} rollouts, seed {card['seed']}"),
        ("generator", print_["generator"]),
        ("prm", print_["prm"] or print_["prm_format"]),
        ("sampler", ", ".join(f"{k} {v}" for k, v in print_["sampling"].items())),
        ("versions", ", ".join(f"{k} {v}" for k, v in card["versions"].items())),
    ]
    table = "\n".join(f"{key:<12}{value}" for key, value in facts if value)
    return f"{table}\n\nHeld out by question:\n\n{report_text(card['held_out'])}"


def list_text(cards: Sequence[Mapping[str, Any]]) -> str:
    """One line per calibration."""
    rows = [("NAME", "METHOD", "QUESTIONS", "SKILL", "ECE", "DATA", "FILE")]
    for card in cards:
        finished = card["held_out"]["finished"]
        rows.append(
            (
                card["name"],
                card["method"],
                f"{card['questions']:,}",
                _cell(finished["skill"]),
                _cell(finished["ece"]),
                ", ".join(card["data"]),
                card["file"],
            )
        )
    return columns(rows, "<" + ">" * (len(rows[0]) - 1))


def _row(name: str, data: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = data["intervals"]["skill"]
    return (
        name,
        f"{data['n']:,}",
        f"{data['questions']:,}",
        _cell(data["base_rate"]),
        _cell(data["brier"]),
        _cell(data["skill"]),
        f"({_cell(low)} {_cell(high)})",
        _cell(data["ece"]),
        _cell(data["ece_floor"]),
        _cell(data["auc"]),
        _cell(data["coverage"]),
    )


def _cell(value: object) -> str:
    """``.812`` for numbers, ``-`` for what is not defined."""
    if isinstance(value, str):
        return value
    if value is None:
        return "-"
    assert isinstance(value, int | float)
    return decimal(value)


def _reliability(bins: Iterable[Mapping[str, float]]) -> str:
    lines = []
    for b in bins:
        bar = "#" * round(b["observed"] * _BAR)
        at = min(round(b["estimate"] * _BAR), _BAR - 1)
        # The estimate's own place is marked, so that the eye compares the bar's end with it.
        drawn = bar.ljust(_BAR)
        lines.append(
            f"  {_cell(b['estimate'])}  {_cell(b['observed'])}  {drawn[:at]}|{drawn[at + 1 :]}".rstrip()
        )
    return "\n".join(lines)
