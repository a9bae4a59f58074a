"""Requests with tools: which results of earlier calls are known."""

from __future__ import annotations

from typing import Any

import pytest

from adascale.engine.errors import UsageError
from adascale.engine.kinds.structured import ToolCall
from adascale.engine.tools.calls import Call, ToolRequest

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CITIES = ["Paris", "Rome"]


def request_of(ids: list[str], results: list[dict[str, Any]]) -> ToolRequest:
    """Two calls in one turn, and their results."""
    calls = [
        {"id": id_, "type": "function", "function": {"name": "weather", "arguments": {"city": city}}}
        for id_, city in zip(ids, CITIES, strict=True)
    ]
    asked = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls": calls}]
    messages = [*asked, *({"role": "tool", **each} for each in results)]
    return ToolRequest.of({"messages": messages, "tools": [TOOL]})


@pytest.mark.parametrize(
    ("ids", "results"),
    [
        (["a", "b"], [{"tool_call_id": "b", "content": "Rome"}, {"tool_call_id": "a", "content": "Paris"}]),
        (["", ""], [{"tool_call_id": "", "content": "Paris"}, {"tool_call_id": "", "content": "Rome"}]),
    ],
)
def test_a_result_belongs_to_its_call_by_id_or_else_by_order(
    ids: list[str], results: list[dict[str, Any]]
) -> None:
    request = request_of(ids, results)
    assert [request.known_result(Call("weather", {"city": city})) for city in CITIES] == CITIES


def test_a_call_without_a_result_is_not_known() -> None:
    request = request_of(["a", "b"], [{"tool_call_id": "b", "content": "Rome"}])
    assert request.known_result(Call("weather", {"city": "Paris"})) is None


@pytest.mark.parametrize(
    "message", [{"content": "hi"}, {"role": "user"}, {"role": "user", "content": ["hi"]}]
)
def test_a_message_has_a_role_and_a_text(message: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="role and its content"):
        ToolCall().read_details("x", {"tools": [], "messages": [message]})
