"""The table of checks has every stage that a check may have."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from adascale.cli.report.calibrate_report import STAGE_NAMES
from bench.evidence import calibration


def test_no_stage_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = dict.fromkeys(["brier", "skill", "ece", "ece_floor", "auc", "coverage", "base_rate"], 0.5)
    check = tmp_path / "check.json"
    check.write_text(json.dumps({"stages": dict.fromkeys(STAGE_NAMES, figures)}))
    monkeypatch.setattr(sys, "argv", ["calibration", f"mine={check}"])

    calibration.main()

    rows = [line.split(" | ")[:2] for line in capsys.readouterr().out.splitlines() if "| mine |" in line]
    assert [stage.removeprefix("| ") for stage, _ in rows] == list(STAGE_NAMES.values())
