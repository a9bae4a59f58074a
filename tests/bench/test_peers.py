"""The bench of peers: what is kept of a run, how tokens are counted, how answers are judged."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from other_server import other_server, writes

from adascale.engine.types import Problem
from bench.evidence import peers
from bench.evidence.peers import METHODS, Bench, is_right

SHARED = Problem("q", "What is 6 * 7?", "42")


def test_a_run_goes_on_and_budgets_share_replies(tmp_path: Path) -> None:
    out = tmp_path / "peers.jsonl"
    eight = next(each for each in METHODS if each.row == "its-hub self-consistency 8 @ llama")
    found = {"text": "x", "tokens": 2, "seconds": 1.0, "drawn": [{"text": "a"}, {"text": "b"}]}

    Bench("m", tmp_path, 1, out).keep(eight, "q", found)
    again = Bench("m", tmp_path, 1, out)

    assert again.has(eight, "q")
    assert not again.has(eight, "other")
    assert [each["text"] for each in again.kept_replies("q")] == ["a", "b"]


@pytest.mark.parametrize(
    ("record", "right"),
    [
        ({"text": "So \\boxed{42}."}, True),
        ({"text": "The answer is 41."}, False),
        ({"text": None}, False),
        ({"answer": "42.0"}, True),
        ({"answer": None}, False),
    ],
)
def test_texts_of_peers_and_answers_of_ours_have_one_judge(record: dict[str, object], right: bool) -> None:
    assert is_right(SHARED, record) is right


def test_all_tokens_are_counted_whichever_request_they_are_of() -> None:
    reply = writes(b'{"usage": {"completion_tokens": 7}}')
    with other_server(reply) as other, peers._meter(f"{other.url}/v1") as (url, tokens):
        for _ in range(2):
            urllib.request.urlopen(f"{url}/chat/completions", b"{}").close()
        assert tokens() == 14
        assert [path for path, *_ in other.asked] == ["/v1/chat/completions"] * 2
