"""The bench of peers: what is kept of a run, how tokens are counted, how answers are judged."""

from __future__ import annotations

import json
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from adascale.engine.types import Problem
from bench.evidence import peers
from bench.evidence.peers import IDS, METHODS, Bench, is_right

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
    class Upstream(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            data = json.dumps({"usage": {"completion_tokens": 7}, "path": self.path}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    Thread(target=server.serve_forever, daemon=True).start()
    with peers._meter(f"http://127.0.0.1:{server.server_address[1]}/v1") as (url, tokens):
        for _ in range(2):
            with urllib.request.urlopen(f"{url}/chat/completions", b"{}") as reply:
                assert json.loads(reply.read())["path"] == "/v1/chat/completions"
        assert tokens() == 14
    server.shutdown()
    server.server_close()


def test_questions_are_thirty_that_no_calibration_was_fitted_on() -> None:
    ids = IDS.read_text().split()

    assert len(ids) == len(set(ids)) == 30
    assert all(each.startswith("gsm8k-train-") for each in ids)
