"""The judge of calls."""

from __future__ import annotations

from typing import Any

import pytest

from adascale.engine.kinds.structured import ToolCall
from adascale.engine.tools.calls import NO_CALL, Call, write_calls
from adascale.engine.types import Problem
from bench.bfcl import JudgedToolCall, is_accepted

AREA = [
    {"area": {"base": [6, 10], "height": [6], "unit": ["cm", ""], "tags": [["A b"]], "at": [{"x": [1, 2]}]}}
]
GOOD = {"base": 6, "height": 6.0, "tags": ["a-B"], "at": {"x": 2}}


@pytest.mark.parametrize(
    ("calls", "accepted", "is_right"),
    [
        ([("area", GOOD)], AREA, True),
        ([("area", {**GOOD, "unit": "CM"})], AREA, True),
        ([("area", {**GOOD, "unit": "m"})], AREA, False),
        ([("area", {**GOOD, "more": 1})], AREA, False),
        ([("area", {name: each for name, each in GOOD.items() if name != "height"})], AREA, False),
        ([("volume", GOOD)], AREA, False),
        ([("area", GOOD), ("area", GOOD)], AREA, False),
        ([], AREA, False),
        ([], [], True),
        ([("f", {"a": 1}), ("f", {"a": 2})], [{"f": {"a": [2]}}, {"f": {"a": [1]}}], True),
        ([("f", {"a": 1}), ("f", {"a": 1})], [{"f": {"a": [2]}}, {"f": {"a": [1]}}], False),
    ],
)
def test_the_judge_is_that_of_bfcl(calls: Any, accepted: Any, is_right: bool) -> None:
    assert is_accepted([Call(*call) for call in calls], accepted) == is_right


def test_a_search_does_not_see_the_accepted_calls() -> None:
    function = {"name": "area", "parameters": {"type": "object", "properties": {}}}
    record = {
        "messages": [{"role": "user", "content": "?"}],
        "tools": [{"type": "function", "function": function}],
        "accepted": AREA,
    }
    kind = JudgedToolCall()
    problem = Problem("1", "?", kind="call", details=kind.read_details("?", record))
    assert kind.is_judged(problem)
    assert kind.for_search(problem).details == ToolCall().read_details("?", record)
    assert kind.is_right(problem, write_calls([Call("area", GOOD)]), None, None)
    assert not kind.is_right(problem, NO_CALL, None, None)
