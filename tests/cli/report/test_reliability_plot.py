"""The picture of a calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from worlds import fitted_report

from adascale.cli.report.reliability_plot import reliability_diagram
from adascale.engine.calibration.figures import BaselineReport, Bin
from adascale.engine.errors import UsageError

STAGE = replace(
    fitted_report()["answer"],
    questions=40,
    ece=0.1,
    ece_floor=None,
    auc=0.8,
    skill=-0.05,
    reliability=(Bin(0.5, 0.2, 0.3), Bin(0.5, 0.7, 1.0)),
    raw=BaselineReport(0.2, None, 0.1, 0.6, (Bin(1.0, 0.4, 0.5),)),
)


def test_a_diagram_is_the_same_bytes_in_both_formats(tmp_path: Path) -> None:
    for suffix, magic in ((".svg", b"<?xml"), (".png", b"\x89PNG")):
        one, two = tmp_path / f"1{suffix}", tmp_path / f"2{suffix}"
        for path in (one, two):
            reliability_diagram({"step": STAGE, "finished": STAGE, "answer": STAGE}, path)
        assert one.read_bytes() == two.read_bytes()
        assert one.read_bytes().startswith(magic)
    reliability_diagram({"finished": STAGE}, one, "raw score")
    assert one.read_bytes() != two.read_bytes()
    with pytest.raises(UsageError, match="cannot write"):
        reliability_diagram({"step": STAGE, "answer": STAGE}, tmp_path / "no" / "folder.svg")
