"""Calls and JSON on recorded replies: what is chosen and judged."""

from __future__ import annotations

import json
from typing import Any

from scripted import judging

from adascale.engine.strategies import Greedy, Vote
from adascale.engine.tools.schema import matches
from adascale.engine.types import Problem
from bench.evidence import json_fields
from bench.evidence.calls_table import AGREEMENT, play

TOOL = {
    "type": "function",
    "function": {
        "name": "book",
        "parameters": {
            "type": "object",
            "properties": {"seats": {"type": "integer"}},
            "required": ["seats"],
        },
    },
}


def request() -> Problem:
    accepted = [{"book": {"seats": [2]}}]
    messages = [{"role": "user", "content": "Book."}]
    details = {"messages": messages, "tools": [TOOL], "accepted": accepted}
    return Problem("live_simple_1", "Book.", kind="call", details=details)


def call(seats: Any) -> dict[str, Any]:
    text = json.dumps({"name": "book", "arguments": {"seats": seats}})
    return {"text": text, "finish": "stop", "tokens": 10, "logprob": -1.0}


def record(greedy: Any, *sampled: Any) -> dict[str, Any]:
    calls = [call(each) for each in sampled]
    return {
        "look": [-0.1, -2.4],
        "written": call(greedy),
        "greedy": call(greedy),
        "calls": calls,
        "reply": 30,
    }


def test_rules_play_the_replies_that_were_recorded() -> None:
    posterior = judging("call", 0.6)
    rows = [(request(), record(3, 2, 2, 2, 2, 2))]

    [greedy] = play(rows, Greedy(), posterior)
    [votes] = play(rows, Vote(samples=3), posterior)
    [agreed] = play(rows, AGREEMENT, posterior)

    assert (greedy.right, greedy.tokens) == (False, 10)
    assert (votes.right, votes.tokens) == (True, 30)
    assert agreed.right, "two that agree outvote the greedy call"
    assert agreed.p is not None


def test_every_form_has_an_answer_of_its_schema() -> None:
    known = [json.loads(line) for line in json_fields.FORMS.read_text().splitlines()]
    assert [each for each in known if not matches(each["answer"], each["schema"])] == []
    for problem in json_fields.texts(None):
        assert problem.answer is not None
        right = json_fields.right_fields(problem, json.loads(problem.answer))
        assert right
        assert all(right.values())
