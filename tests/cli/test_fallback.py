"""``ask`` and ``batch`` with ``--fallback``: our search is not sure, another server on loopback answers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import run
from home import CLOSED, Home
from other_server import KEY, Other, Reply, is_silent, other_server, refuses, says
from scripted_server import EchoPolicy, served, steady

from adascale.cli.searching.fallback import open_fallback
from adascale.engine.calibration.votes import VotePosterior
from adascale.engine.types import Notice, Problem
from adascale.models.fallback import Fallback
from adascale.models.options import FallbackOptions

QUESTION = "Echo 18 + 0?"
WITH_KEY = {"ADASCALE_FALLBACK_KEY": KEY}
Ask = Callable[..., subprocess.CompletedProcess[str]]
GOOD = says("17 * 23 = 391, so \\boxed{391}.")


@pytest.fixture
def home(tmp_path: Path, chain_gguf: Path) -> Home:
    return Home.asking(tmp_path, chain_gguf, 3)


@pytest.fixture(scope="module")
def ours() -> Iterator[str]:
    """The URL of a server of ours, all of whose solutions agree."""
    with served(policy=EchoPolicy(steady), calibrators={"value": VotePosterior(0.25)}) as running:
        yield running.url


@pytest.fixture
def ask(home: Home, ours: str) -> Ask:
    """Asks that server; no stream ever has the key."""

    def call(*options: str) -> subprocess.CompletedProcess[str]:
        done = run(home.env, "ask", QUESTION, "--seed", "1", "--server", ours, *options, more=WITH_KEY)
        assert KEY not in done.stdout + done.stderr
        return done

    return call


def test_an_unsure_answer_is_that_of_the_other_server_and_says_so(ask: Ask) -> None:
    with other_server(GOOD) as other:
        found = json.loads(ask("--json", "--fallback", other.url).stdout)
        shown = ask("--fallback", other.url, "--fallback-model", "large-2")
        alone = ask("-x", "--fallback", other.url)
    assert (found["answer"], found["status"], found["confidence"]["p"]) == ("391", "answered", None)
    server = other.url.removeprefix("http://")
    assert 0.5 < found["fallback"].pop("own_probability") < 0.8
    assert found["fallback"] == {"server": server, "model": "large", "own_answer": "18"}
    assert shown.stdout == "17 * 23 = 391, so 391.\nAnswer: 391\n"
    assert f"391 · by large at {server}" in shown.stderr
    assert "18 · 75 % sure" in shown.stderr
    assert f"not sure enough, asking {server}" in shown.stderr
    assert alone.stdout == "391\n"
    (path, headers, first), (_, _, second), _ = other.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert first["messages"][-1]["content"] == QUESTION
    assert ("model" in first, second["model"]) == (False, "large-2")


def test_a_sure_enough_answer_stays_and_so_does_every_one_without_the_option(ask: Ask) -> None:
    with other_server(GOOD) as other:
        sure = json.loads(ask("--json", "--fallback", other.url, "--fallback-below", ".5").stdout)
        ask("--json")
        text = ask("--as", "text", "--fallback", other.url)
    assert (sure["answer"], "fallback" in sure) == ("18", False)
    assert text.returncode == 0
    assert other.asked == []


@pytest.mark.parametrize(
    ("reply", "notice"),
    [
        (is_silent, "takes longer than 0.3 s"),
        (refuses(401), "refuses the key"),
    ],
)
def test_whatever_goes_wrong_there_the_answer_is_our_own_with_a_notice(
    home: Home, ask: Ask, reply: Reply, notice: str
) -> None:
    with other_server(reply) as other:
        done = ask("--json", "--fallback", other.url, "--fallback-time-limit", "300ms")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["answer"], "fallback" in found) == ("18", False)
    assert notice in found["warnings"][-1]
    assert "warning[no-fallback]" in done.stderr
    assert len(other.asked) == 1
    for path in home.folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_the_calls_of_a_day_are_counted_over_all_commands(ask: Ask) -> None:
    limits = ("--json", "--fallback-calls", "2", "--fallback")
    with other_server(GOOD) as other:
        answers = [json.loads(ask(*limits, other.url).stdout)["answer"] for _ in range(3)]
    assert (answers, len(other.asked)) == (["391", "391", "18"], 2)


def test_the_first_call_of_a_day_removes_the_counts_of_earlier_days(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "adascale" / "fallback"
    folder.mkdir(parents=True)
    for name in ("19000.calls", "99999.calls", "note"):
        (folder / name).write_text("...")
    fallback = Fallback(FallbackOptions(url=CLOSED), None)
    assert isinstance(asyncio.run(fallback.ask(Problem("q", "What is 1 + 1?"))), Notice)
    kept = {path.name for path in folder.iterdir()}
    assert len(kept) == 3
    assert {"99999.calls", "note"} < kept
    assert "19000.calls" not in kept


def test_the_key_is_read_from_a_file(home: Home, ask: Ask) -> None:
    (home.folder / "key.txt").write_text("from-a-file\n")
    with other_server(GOOD) as other:
        ask("--fallback", f"{other.url}/api/v1/", "--fallback-key-file", str(home.folder / "key.txt"))
    [(path, headers, _)] = other.asked
    assert (path, headers["authorization"]) == ("/api/v1/chat/completions", "Bearer from-a-file")


def test_the_variable_with_the_key_is_inherited_by_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in (FallbackOptions(), FallbackOptions(CLOSED)):
        monkeypatch.setenv(*next(iter(WITH_KEY.items())))
        open_fallback(options)
        assert KEY not in os.environ.values()


@pytest.mark.parametrize(
    "options",
    [
        ("--fallback-below", ".9"),
        ("--fallback", "nowhere"),
        ("--fallback", f"https://me:{KEY}@example.org"),
        ("--fallback", f"https://example.org/v1?key={KEY}"),
        ("--fallback", CLOSED, "--fallback-key-file", "missing.txt"),
    ],
)
def test_a_fallback_that_cannot_be_used_is_refused(ask: Ask, options: tuple[str, ...]) -> None:
    assert ask(*options).returncode == 2


def batch(home: Home, other: Other, *options: str) -> tuple[list[dict[str, Any]], str]:
    words = ["batch", str(home.data), "-g", str(home.model), "-t", "1", "--seed", "1"]
    done = home.run(*words, "--fallback", other.url, "--fallback-below", "1", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_records_of_a_batch_say_who_has_answered(home: Home) -> None:
    rows = [{"id": "a", "question": QUESTION, "answer": "391"}, {"id": "b", "question": "hi", "kind": "text"}]
    home.data.write_text("\n".join(map(json.dumps, rows)))
    with other_server(GOOD) as other:
        records, said = batch(home, other)
    found = {record["id"]: record for record in records}
    assert (found["a"]["answer"], found["a"]["correct"], found["a"]["fallback"]["model"]) == (
        "391",
        True,
        "large",
    )
    assert ("fallback" in found["b"], len(other.asked)) == (False, 1)
    assert "1 of them answered by the fallback" in said


def test_a_batch_leaves_a_server_alone_that_fails_again_and_again(tmp_path: Path, chain_gguf: Path) -> None:
    home = Home.asking(tmp_path, chain_gguf, 6)
    with other_server(refuses(500)) as other:
        records, said = batch(home, other)
    assert len(other.asked) == 3
    assert all("fallback" not in record and record["warnings"] for record in records)
    assert said.count("refuses the question") == 1
