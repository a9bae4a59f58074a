"""The judge of searches: what no search has is left out."""

from __future__ import annotations

from bench.evidence.searches import judged


def test_stages_without_an_estimate_are_left_out() -> None:
    assert judged([]) == {}
