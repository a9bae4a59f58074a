"""``ask`` and ``batch`` with ``--fallback``: our search is not sure, another server on loopback answers."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import CLOSED, Home, run
from loopback import KEY, Call, listening
from replies import says

from adascale.cli.opening import open_fallback
from adascale.models.options import FallbackOptions

QUESTION = "What is twice 9?"
WITH_KEY = {"ADASCALE_FALLBACK_KEY": KEY}
Ask = Callable[..., subprocess.CompletedProcess[str]]
GOOD = says("17 * 23 = 391, so \\boxed{391}.")


@pytest.fixture
def home(tmp_path: Path, chain_gguf: Path) -> Home:
    return Home.asking(tmp_path, chain_gguf, 3)


@pytest.fixture
def ask(home: Home) -> Ask:
    """Asks a tiny model that is never sure enough; no stream and no file ever has the key."""

    def call(*options: str) -> subprocess.CompletedProcess[str]:
        words = ("ask", QUESTION, "-m", str(home.model), "--seed", "1", "-o", "fallback_below", "1")
        done = run(home.env, *words, *options, more=WITH_KEY)
        assert KEY not in done.stdout + done.stderr
        for path in home.folder.rglob("*"):
            assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
        return done

    return call


def test_an_unsure_answer_is_that_of_the_other_server_and_says_so(ask: Ask) -> None:
    with listening(GOOD) as other:
        named = f"{other.url}#large"
        found = json.loads(ask("--json", "--fallback", named).stdout)
        alone = ask("--fallback", other.url)
    server = other.url.removeprefix("http://")
    assert found["fallback"]["server"] == server
    assert alone.stdout == "391\n"
    assert f"391 · by the model at {server}" in alone.stderr
    (path, headers, first), (_, _, unnamed) = other.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert first["messages"][-1]["content"] == QUESTION
    assert (first["model"], "model" in unnamed) == ("large", False)
    assert "temperature" not in first, "some models refuse it"


def test_the_calls_of_a_day_are_counted_over_all_commands(ask: Ask) -> None:
    limits = ("--json", "-o", "fallback_calls", "2", "--fallback")
    with listening(GOOD) as other:
        answers = [json.loads(ask(*limits, other.url).stdout)["answer"] for _ in range(3)]
    assert (answers, len(other.asked)) == (["391", "391", "18"], 2)


def test_the_variable_with_the_key_is_inherited_by_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in (FallbackOptions(), FallbackOptions(CLOSED)):
        monkeypatch.setenv(*next(iter(WITH_KEY.items())))
        open_fallback(options)
        assert KEY not in os.environ.values()


def test_a_batch_goes_on_while_the_other_server_thinks(home: Home) -> None:
    both = threading.Barrier(2)

    def answers_when_it_has_two(call: Call) -> None:
        both.wait(20)
        GOOD(call)

    rows = [
        {"question": "What is twice 8?", "answer": "391"},
        {"question": "What is twice 9?", "answer": "391"},
    ]
    home.data.write_text("\n".join(map(json.dumps, [*rows, {"question": "hi", "kind": "text"}])))
    words = ["batch", str(home.data), "-m", str(home.model), "--seed", "1", "-o", "fallback_below", "1"]
    with listening(answers_when_it_has_two) as other:
        done = home.run(*words, "--fallback", other.url)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["correct"] for each in records if "fallback" in each] == [True, True], done.stderr
    assert "2 fallback" in done.stderr
