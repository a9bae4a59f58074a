"""Sampled questions: of the recorded search in the docs, of a world whose truth is known, made by hand."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import worlds

from adascale.engine.search.events import GeneratorDescription, ModelDescription, from_json
from adascale.engine.search.prefix_outcomes import PrefixOutcome
from adascale.engine.search.record import Record
from adascale.engine.types import Estimate, Problem
from adascale.export.dataset import Card, Recipe, open_dataset, rows_of
from adascale.export.formats import FORMATS, FormatName
from adascale.export.sampled import SampledNode, SampledQuestion

PROSE_SEARCH = Path(__file__).with_name("prose_search.jsonl")
"""A trace of the 1.5b, in which three solutions of four agree."""

MODELS = ModelDescription(GeneratorDescription("tiny", sha256="ab" * 32), sampling={"temperature": 0.5})


def prose_search() -> SampledQuestion:
    """A search with calibrated estimates and no known answer."""
    events = (from_json(json.loads(line)) for line in PROSE_SEARCH.read_text(encoding="utf-8").splitlines())
    return SampledQuestion.of(Record.of(events))


@functools.cache
def world() -> tuple[SampledQuestion, ...]:
    """Three questions with counted outcomes in prose and as programs, and no estimates."""
    records = worlds.searched(worlds.problems(3), programs=2)
    return tuple(SampledQuestion.of(record) for record in records.values())


def node(
    parent: int,
    text: str,
    p: float | None = None,
    counts: tuple[int, int] | None = None,
    *,
    calibrated: bool = True,
    **more: Any,
) -> SampledNode:
    """A node in prose of ten tokens; one with an answer has ended."""
    estimate = None if p is None else Estimate(p, p, p, calibrated)
    outcome = None if counts is None else PrefixOutcome(*counts)
    usual = {"mode": "prose", "ended": "answer" in more, "tokens": 10 if text else 0}
    return SampledNode(parent, text, **{**usual, **more}, estimate=estimate, outcome=outcome)


def question(*nodes: SampledNode, answer: str | None = None, name: str = "q", **more: Any) -> SampledQuestion:
    """``nodes`` below a question."""
    return SampledQuestion(Problem(name, f"What is {name}?", answer), (node(-1, ""), *nodes), MODELS, **more)


def write_dataset(path: Path, name: FormatName, questions: Sequence[SampledQuestion]) -> list[Any]:
    """Write a dataset; returns its rows."""
    rows: list[Any] = []
    with open_dataset(path, FORMATS[name].row) as append:
        for _, row in rows_of(questions, Card(Recipe(name), mixed=True)):
            append(row)
            rows.append(row)
    return rows


def fits(value: Any, hint: Any) -> bool:
    """True if a value has a type: ``TypedDict``, list, union, literal or a plain type."""
    if is_typeddict(hint):
        hints = get_type_hints(hint)
        return list(value) == list(hints) and all(fits(value[key], hints[key]) for key in hints)
    if isinstance(hint, UnionType):
        return any(fits(value, each) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is list:
        return isinstance(value, list) and all(fits(each, get_args(hint)[0]) for each in value)
    return value is None if hint is NoneType else type(value) is hint
