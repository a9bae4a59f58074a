"""Sampled questions of a world whose truth is known, and made by hand; the trace of a recorded search."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import worlds

from adascale.engine.search.events import GeneratorDescription, ModelDescription
from adascale.engine.search.outcomes import PrefixOutcome
from adascale.engine.types import Estimate, Problem
from adascale.export import SampledNode, SampledQuestion

PROSE_SEARCH = Path(__file__).with_name("prose_search.jsonl")
"""A trace of the 1.5b, in which three solutions of four agree."""

MODELS = ModelDescription(GeneratorDescription("tiny", sha256="ab" * 32), sampling={"temperature": 0.5})


@functools.cache
def world() -> tuple[SampledQuestion, ...]:
    """Three questions with counted outcomes in prose and as programs, and no estimates."""
    records = worlds.searched(worlds.problems(3), programs=2)
    return tuple(SampledQuestion.of(record) for record in records.values())


def node(
    parent: int,
    text: str,
    p: float | None = None,
    counts: tuple[int, int] = (0, 0),
    *,
    calibrated: bool = True,
    **more: Any,
) -> SampledNode:
    """A node in prose that has not ended."""
    estimate = None if p is None else Estimate(p, p, p, calibrated)
    return SampledNode(
        parent,
        text,
        **{"mode": "prose", "ended": False, **more},
        estimate=estimate,
        outcome=PrefixOutcome(*counts),
    )


def question(*nodes: SampledNode) -> SampledQuestion:
    """``nodes`` below a question."""
    return SampledQuestion(Problem("q", "What is q?"), (node(-1, ""), *nodes), "tiny")
