"""The line of the package is the one through the published scores."""

from __future__ import annotations

from adascale.engine.calibration import posterior as votes
from bench.evidence.model_sizes import line_of, read_scores


def test_the_package_has_the_line_of_the_table() -> None:
    found = line_of(read_scores())
    assert round(found.at_one_billion, 2) == votes.AT_ONE_BILLION
    assert round(found.rise, 2) == votes.RISE
    assert round(found.end, 1) * 1e9 == votes.UNTIL
