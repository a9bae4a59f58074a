"""Calibrations side by side, as a Markdown table, from what ``adascale calibrate check --json`` wrote.

Usage: ``python -m bench.evidence.calibration NAME=CHECK.json ...`` (docs/research/calibration-methods.md).

Brier, skill and ECE of a raw score read it as if it were a probability; where there is no calibration at all
the base rate of the same outcomes is the row to beat, and its skill is 0.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from adascale.cli.report.calibrate_report import STAGE_NAMES
from adascale.engine.decimals import decimal

from ..common import close

_SHOWN = ("brier", "skill", "ece", "ece_floor", "auc", "coverage")


def cell(value: float | None) -> str:
    """Two digits without the leading zero."""
    return "" if value is None else decimal(value, ".2f")


def base_rate(data: dict[str, Any]) -> dict[str, Any]:
    """The best constant for the same outcomes."""
    rate = data["base_rate"]
    return {"brier": rate * (1 - rate), "skill": 0.0, "auc": 0.5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="+", metavar="NAME=CHECK.json")
    args = parser.parse_args()
    found: list[tuple[str, str, dict[str, Any]]] = []
    figures: dict[str, Any] = {}
    for given in args.checks:
        name, _, path = given.partition("=")
        stages = json.loads(Path(path).read_text(encoding="utf-8"))["stages"]
        found += [(stage, name, data) for stage, data in stages.items()]
        figures[name] = {stage: {key: data[key] for key in _SHOWN} for stage, data in stages.items()}
    print("| stage | estimate | n | right | Brier | skill (95 %) | ECE | noise | AUC | coverage |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for stage, shown in STAGE_NAMES.items():
        own = [(name, data) for at, name, data in found if at == stage]
        for name, data in [("base rate", base_rate(own[0][1])), *own] if own else []:
            low, high = data.get("intervals", {}).get("skill", (None, None))
            interval = f" ({cell(low)} {cell(high)})" if low is not None else ""
            n = f"{data['n']:,}" if "n" in data else ""
            cells = [shown, name, n, cell(data.get("base_rate")), cell(data["brier"])]
            cells.append(cell(data["skill"]) + interval)
            cells += [cell(data.get(key)) for key in ("ece", "ece_floor", "auc", "coverage")]
            print("| " + " | ".join(cells) + " |")
    close(figures)


if __name__ == "__main__":
    main()
