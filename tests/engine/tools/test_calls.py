"""Calls are read however a model writes them as JSON; results that are known; the order of fields."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.errors import UsageError
from adascale.engine.kinds.structured import ToolCall
from adascale.engine.tools.calls import Call, Tool, ToolRequest, Tools, in_words, read_reply
from adascale.engine.tools.equality import in_order, reordered


def tool(name: str, required: tuple[str, ...] = (), **properties: Any) -> Tool:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return Tool.of({"type": "function", "function": {"name": name, "parameters": parameters}})


WEATHER = tool(
    "get_weather",
    ("city",),
    city={"type": "string"},
    days={"type": "integer"},
    unit={"enum": ["C", "F"]},
    places={"type": "array", "items": {"type": "string"}},
    exact={"type": "boolean"},
)
TOOLS: Tools = {"get_weather": WEATHER, "get_time": tool("get_time", zone={"type": "string"})}


def as_json(call: Call, arguments: str = "arguments") -> str:
    return json.dumps({"name": call.name, arguments: call.arguments})


FORMATS: Mapping[str, Callable[[Call], str]] = {
    "qwen": lambda call: f"<tool_call>\n{as_json(call)}\n</tool_call>",
    "fence": lambda call: f"```json\n{json.dumps(call.record(), indent=2)}\n```",
    "llama": lambda call: as_json(call, "parameters"),
    "llama with tag": lambda call: f"<|python_tag|>{as_json(call, 'parameters')}",
    "mistral": lambda call: f"[TOOL_CALLS] [{as_json(call)}]",
    "openai": lambda call: json.dumps(
        {"type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
    ),
}
WORDS = st.text(string.ascii_letters + " é9", min_size=1, max_size=8).map(str.strip).filter(str.isalpha)
FLAT = st.fixed_dictionaries(
    {"city": WORDS},
    optional={
        "days": st.integers(-99, 99),
        "unit": st.sampled_from(["C", "F"]),
        "exact": st.booleans(),
    },
).map(lambda arguments: Call("get_weather", arguments))


@pytest.mark.parametrize("form", FORMATS)
@given(call=FLAT)
def test_a_call_is_read_in_every_format(form: str, call: Call) -> None:
    reply = read_reply(FORMATS[form](call), TOOLS)
    assert (reply.calls, reply.text, reply.is_faulty) == ((call,), "", False)


def test_words_around_a_call_are_kept_without_its_marks() -> None:
    call = '{"name": "get_time", "arguments": {"zone": "CET"}}'
    reply = read_reply(f"I look.\n<tool_call>{call}</tool_call> Now.", TOOLS)
    assert (reply.calls, reply.text) == ((Call("get_time", {"zone": "CET"}),), "I look.\n Now.")


def test_a_long_text_keeps_its_line_breaks() -> None:
    reply = read_reply('{"name": "get_weather", "arguments": {"city": "Paris\nRome"}}', TOOLS)
    assert reply.calls == (Call("get_weather", {"city": "Paris\nRome"}),)


@pytest.mark.parametrize(
    "text",
    [
        as_json(Call("get_weather", {})),
        as_json(Call("get_weather", {"city": "Paris", "unit": "K"})),
        as_json(Call("get_weather", {"city": "Paris", "days": "2"})),
        "<tool_call>\n" + as_json(Call("get_wether", {"city": "Paris"})) + "\n</tool_call>",
        '<tool_call>\n{"name": "get_weather", "argum',
        '{"name": "get_weather", "arguments": {"city": "Paris", "other": NaN}}',
        '{"name": "get_weather", "arguments": {"city": "Paris", "other": ' + "[" * 40 + "]" * 40 + "}}",
    ],
)
def test_a_broken_call_is_no_call_and_spoils_its_reply(text: str) -> None:
    reply = read_reply(text, TOOLS)
    assert not reply.calls
    assert reply.is_faulty


PLAIN = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CITIES = ["Paris", "Rome"]


def request_of(ids: list[str], results: list[dict[str, Any]]) -> ToolRequest:
    """Two calls in one turn, and their results."""
    calls = [
        {"id": id_, "type": "function", "function": {"name": "weather", "arguments": {"city": city}}}
        for id_, city in zip(ids, CITIES, strict=True)
    ]
    request = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls": calls}]
    messages = [*request, *({"role": "tool", **each} for each in results)]
    return ToolRequest.of({"messages": messages, "tools": [PLAIN]})


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


@pytest.mark.parametrize("calls", [[None], [{"function": "weather"}], 3])
def test_calls_of_a_conversation_are_as_openais_interface_has_them(calls: Any) -> None:
    reply = {"role": "assistant", "content": "", "tool_calls": calls}
    with pytest.raises(UsageError, match="OpenAI's interface"):
        ToolCall().read_details("x", {"tools": [PLAIN], "messages": [reply]})


def test_a_message_may_say_that_it_has_no_calls() -> None:
    reply = {"role": "assistant", "content": "Hello.", "tool_calls": None}
    request = ToolRequest.of(ToolCall().read_details("x", {"tools": [PLAIN], "messages": [reply]}))
    assert in_words(request.messages) == [{"role": "assistant", "content": "Hello."}]
    assert request.known_result(Call("weather", {"city": "Paris"})) is None


INNER: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}}
ORDERED: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": INNER, "c": {"type": "array", "items": INNER}},
    "required": ["a"],
}


@pytest.mark.parametrize("seed", range(5))
def test_every_object_has_its_fields_in_another_order_and_nothing_else_changes(seed: int) -> None:
    result = reordered(ORDERED, np.random.default_rng(seed))
    assert result == ORDERED
    for one, other in [
        (result["properties"], ORDERED["properties"]),
        (result["properties"]["b"]["properties"], INNER["properties"]),
        (result["properties"]["c"]["items"]["properties"], INNER["properties"]),
    ]:
        assert list(one) != list(other)


def test_values_come_back_into_the_order_of_the_schema() -> None:
    value = {"z": 0, "c": [{"y": 2, "x": 1}], "b": {"y": 2, "x": 1}, "a": "A"}
    result = in_order(value, ORDERED)
    assert result == value
    assert [list(result), list(result["b"]), list(result["c"][0])] == [
        ["a", "b", "c", "z"],
        ["x", "y"],
        ["x", "y"],
    ]
