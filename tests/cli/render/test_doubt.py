"""The lines below a doubtful answer."""

from __future__ import annotations

import pytest
from sample_log import Log

from adascale.cli.render.doubt import doubt_lines
from adascale.cli.render.solution import say_end
from adascale.engine.types import ROOT


@pytest.mark.parametrize("p", [0.9, 0.4])
def test_a_doubt_has_both_readings_and_what_helps(p: float, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(params={"samples": 4}, pace=1.0)
    log.finish_path(ROOT, "Packs first.\n9 * 3 = 27\nThe answer is \\boxed{27}.", p, "27")
    log.program("pens = 18 // 3\nprint(pens)", 0.2, output="6\n", answer="6")
    log.end()
    *readings, _ = doubt_lines(log.state())
    assert readings == ["27: 9 * 3 = 27", "6: pens = 18 // 3"]
    say_end(log.state(), advises=True)
    assert ("-e high" in capsys.readouterr().err) is (p < 0.5)
