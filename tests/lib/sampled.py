"""Sampled questions of a world whose truth is known, and made by hand; the trace of a recorded search."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import worlds

from adascale.engine.search.record import PrefixOutcome
from adascale.engine.types import Estimate, Problem
from adascale.export import Prefix, SampledQuestion

PROSE_SEARCH = Path(__file__).with_name("prose_search.jsonl")
"""A trace of the 1.5b, in which three solutions of four agree."""


@functools.cache
def world() -> tuple[SampledQuestion, ...]:
    """Three questions with counted outcomes in prose and as programs, and no estimates."""
    records = worlds.searched(worlds.problems(3), programs=2)
    return tuple(SampledQuestion.of(record) for record in records.values())


def prefix(
    step: str,
    p: float | None = None,
    counts: tuple[int, int] = (0, 0),
    *,
    below: Prefix | None = None,
    calibrated: bool = True,
    **more: Any,
) -> Prefix:
    """A prefix in prose that has not ended."""
    estimate = None if p is None else Estimate(p, p, p, calibrated)
    return Prefix(below, step, outcome=PrefixOutcome(*counts), estimate=estimate, **more)


def question(*prefixes: Prefix) -> SampledQuestion:
    """``prefixes`` of a question."""
    return SampledQuestion(Problem("q", "What is q?"), prefixes, "tiny")
