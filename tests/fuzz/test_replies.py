"""Texts of a model that were calls or JSON of a schema once: what is read of them is valid, or nothing is."""

from __future__ import annotations

import json

import pytest
from hypothesis import strategies as st

from adascale.engine.kinds import kind_of
from adascale.engine.types import Problem

from .conftest import Fuzz
from .mutations import encode_json, mutated_bytes, mutated_json
from .test_requests import SCHEMA, TALK, TOOL, VALUE

ANY_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
DETAILS = {"messages": TALK[:1], "tools": [TOOL, ANY_TOOL]}
CALLS = Problem("a", "What is it like?", details=DETAILS, kind="call")
OBJECT = Problem("a", "Rome, 3 days.", details={"schema": SCHEMA}, kind="json")

ARGUMENTS = {"city": "Rome", "days": 3, "at": [{"no": 1}]}
CALL = {"name": "get_weather", "arguments": ARGUMENTS}
TEXTS = [
    b"<tool_call>\n" + encode_json(CALL) + b"\n</tool_call>",
    b"Let me see.\n```json\n" + encode_json([CALL, {"name": "look", "parameters": {"a": [1]}}]) + b"\n```",
    b"{'name': 'look', 'arguments': {'a': (1, {2, 3}), 'b': None, 'c': True, 'd': b'x', 4: 5j},}",
    b"<function=get_weather><parameter=city>Rome</parameter><parameter=days>3</parameter></function>",
    b"<start_function_call>call:look{city:<escape>Rome<escape>,days:3}<end_function_call>",
    b'[TOOL_CALLS]look[ARGS]{"city": "\\ud800", "days": NaN, "a": 1e999}',
    b"[get_weather(city='Rome', days=3), look(a={1: 2}, b=[..., -1.5e400], c=1_000)]",
    b'{"name": "look", "arguments": {"a": ' + b"[" * 300 + b"]" * 300 + b"}}",
    b"[" * 900 + b'{"name": "look"}' + b"]" * 900,
]


def check_answer(problem: Problem, data: bytes) -> None:
    """An answer can be written, read and compared."""
    kind = kind_of(problem)
    text = data.decode("utf-8", "replace")
    answer = kind.answer(problem, "call" if problem.kind == "call" else "prose", text, "stop", None)
    if answer is not None:
        json.loads(answer, parse_constant=pytest.fail)
        answer.encode("utf-8", "surrogatepass")
        assert kind.equality(problem)(answer, f" {answer}")


def test_calls_in_a_text(fuzz: Fuzz) -> None:
    calls = st.sampled_from([CALL, {"function": {"name": "look", "arguments": VALUE}}])
    texts = mutated_bytes(TEXTS) | calls.flatmap(mutated_json).map(encode_json)
    for text in TEXTS:
        check_answer(CALLS, text)
    fuzz("replies-calls", 100, texts, lambda data: check_answer(CALLS, data))


def test_json_of_a_schema_in_a_text(fuzz: Fuzz) -> None:
    whole = {**VALUE, "days": 3}
    check_answer(OBJECT, encode_json(whole))
    texts = mutated_json(whole).map(encode_json) | mutated_bytes([encode_json(whole)])
    fuzz("replies-json", 100, texts, lambda data: check_answer(OBJECT, data))
