"""Texts of a model that were calls or JSON of a schema once: what is read of them is valid, or nothing is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine import opened

from adascale.engine.errors import UsageError
from adascale.engine.kinds import kind_of
from adascale.engine.tools.equality import fields_of, in_order, key_of
from adascale.engine.tools.grammar import grammar_of_object
from adascale.engine.tools.schema import SchemaReader, matches
from adascale.engine.types import Problem
from adascale.models.llama.model import LlamaModel
from adascale.models.llama.sampling import Grammar

from .mutations import FEW, encode_json, mutated_bytes, mutated_json
from .test_requests import SCHEMA, TALK, TOOL

VALUE = {"unit": None, "days": 3, "share": 0.5, "at": ["Via"], "other": "x"}
"""A value that matches."""

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


@FEW
@given(mutated_bytes(TEXTS) | mutated_json(CALL).map(encode_json))
def test_calls_in_a_text(text: bytes) -> None:
    check_answer(CALLS, text)


@FEW
@given(mutated_json(VALUE).map(encode_json) | mutated_bytes([encode_json(VALUE)]))
def test_json_of_a_schema_in_a_text(text: bytes) -> None:
    check_answer(OBJECT, text)


@pytest.fixture(scope="module")
def model(random_gguf: Path) -> Iterator[LlamaModel]:
    with opened(random_gguf) as machine:
        yield machine.model


@FEW
@given(pair=st.tuples(mutated_json(SCHEMA), mutated_json(VALUE)).map(encode_json))
def test_a_schema_is_refused_or_llama_cpp_reads_its_grammar(model: LlamaModel, pair: bytes) -> None:
    """What reads values by it takes any value."""
    try:
        asked, value = json.loads(pair)
        schema = SchemaReader().read(asked)
        Grammar(model, grammar_of_object(schema))
    except (UsageError, RecursionError):  # nested too deeply to be read as a body
        return
    matches(value, schema)
    if isinstance(value, dict):
        key_of(value, schema)
        list(fields_of(value, schema))
        in_order(value, schema)


def test_what_was_whole_is_read(model: LlamaModel) -> None:
    Grammar(model, grammar_of_object(SchemaReader().read(SCHEMA)))
    assert matches(VALUE, SchemaReader().read(SCHEMA))
