"""``adascale ask --server``: a command in a process of its own, a server on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import clean_env, interrupted_at_answer, run
from other_server import other_server
from sample_log import Log
from scripted_server import EchoPolicy, served, steady

from adascale.engine.errors import UsageError
from adascale.engine.search.events import Event, to_json
from adascale.models.worker.remote import RemoteSearch
from adascale.serve.wire.guard import Access
from bench.inline import echo


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return clean_env(tmp_path)


def ask(
    env: dict[str, str], url: str, *options: str, question: str = "Echo 18."
) -> subprocess.CompletedProcess[str]:
    return run(env, "ask", "--server", url, question, *options)


@contextmanager
def asking(env: dict[str, str], url: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command while it runs."""
    command = [sys.executable, "-m", "adascale", "ask", "--server", url, "Echo 18.", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=env, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def replying(*parts: str) -> Iterator[str]:
    """The URL of a server that answers with these bytes, and breaks off."""
    with other_server(lambda call: call.connection.sendall("\r\n".join(parts).encode())) as other:
        yield other.url


def log_of(*events: dict[str, Any]) -> tuple[str, ...]:
    """A response that streams events."""
    head = ("HTTP/1.1 200 OK", "X-Adascale-Version: 9.9", "Connection: close", "")
    return (*head, "".join(f"data: {json.dumps(event)}\n\n" for event in events))


def test_answer_tree_and_exit_code_are_as_with_a_model_of_this_machine(
    env: dict[str, str],
) -> None:
    with served(policy=EchoPolicy(steady)) as server:
        done = ask(env, f"{server.url}/v1", "-T", "--seed", "1")
        assert done.returncode == 0, done.stderr
        assert "We look at 18." in done.stdout
        assert done.stdout.endswith("Answer: 18\n")
        assert "solutions agree" in done.stderr
        env["ADASCALE_SERVER"] = server.url
        record = json.loads(run(env, "ask", "Echo 18.", "--json", "--effort", "low", "-b", "900").stdout)
    assert record["answer"] == "18"
    assert record["model"]["name"] == "scripted"
    assert record["search"]["samples"] == 8
    assert record["budget"]["tokens"]["limit"] == 900
    assert run(env, "replay", "--json").stdout, "the search is kept"


def test_the_effort_is_the_servers_unless_one_is_set(env: dict[str, str]) -> None:
    with served(policy=EchoPolicy(steady), effort="high") as server:
        samples = [
            json.loads(ask(given, server.url, "--json").stdout)["search"]["samples"]
            for given in (env, {**env, "ADASCALE_EFFORT": "low"})
        ]
    assert samples == [32, 8]


@pytest.mark.parametrize(
    ("options", "kind", "effort"),
    [
        (("-x",), "auto", None),
        (("--effort", "low"), "auto", "low"),
        (("--as", "fact"), "fact", None),
        (("--mode", "prose"), None, None),
        (("--mode", "prose", "--effort", "low"), None, "low"),
        (("--min-confidence", "0.1"), "auto", None),
    ],
)
def test_a_mode_that_was_typed_makes_a_search_and_an_effort_alone_does_not(
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    kind: str | None,
    effort: str | None,
) -> None:
    bodies: list[dict[str, Any]] = []

    def refuse(self: RemoteSearch, body: dict[str, Any]) -> Iterator[Event]:
        bodies.append(body)
        raise UsageError("no")
        yield

    monkeypatch.setattr(RemoteSearch, "run", refuse)
    assert ask({**env, "ADASCALE_MODE": "program"}, "http://127.0.0.1:1", *options).returncode == 2
    assert [(body["kind"], body["effort"]) for body in bodies] == [(kind, effort)]


def test_a_text_gets_one_reply_whatever_the_config_file_says(
    env: dict[str, str],
) -> None:
    policy = EchoPolicy(steady)
    with served(policy=policy) as server:
        modest = {**env, "ADASCALE_MODE": "prose"}
        assert ask(modest, server.url, "--effort", "high", question="Say hello.").returncode == 0
    assert [problem.kind for problem in policy.opened] == ["text"]


def test_a_follow_up_its_kind_and_its_options_are_the_servers_to_know(env: dict[str, str]) -> None:
    policy = EchoPolicy(steady)
    with served(policy=policy) as server:
        assert ask(env, server.url).returncode == 0
        assert ask(env, server.url, "-c", "--as", "text", question="Echo 7.").returncode == 0
        ask(env, server.url, "--choices", "red,green", question="Which colour?")
    _, follow_up, choice = policy.opened
    assert [turn.role for turn in follow_up.history] == ["user", "assistant"]
    assert follow_up.history[0].content == "Echo 18."
    assert follow_up.kind == "text"
    assert choice.details["texts"] == ["red", "green"]


def test_an_interrupt_ends_the_search_of_the_server_and_shows_what_it_found(env: dict[str, str]) -> None:
    slow, options = EchoPolicy(echo, pause=0.05), ["--effort", "max", "--progress", "json"]
    with served(policy=slow) as server, asking(env, server.url, *options) as process:
        out, err = interrupted_at_answer(process)
        assert process.returncode == 130, err
        assert "Answer: 1" in out
        server.wait_until_idle()


@pytest.mark.slow
def test_a_question_waits_while_the_server_loads_its_models(env: dict[str, str]) -> None:
    opening = threading.Event()
    with served(opening=opening) as server, asking(env, server.url, "-x") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "The server loads its models..." in line:
                break
        time.sleep(2.5)  # it asks every second
        opening.set()
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "loads its models" not in err, "it is said once"
        assert out.startswith("1")


def test_a_server_with_a_key_wants_it(env: dict[str, str]) -> None:
    with served(Access("127.0.0.1", key="sesame")) as server:
        refused = ask(env, server.url)
        assert refused.returncode == 2
        assert "error[invalid-api-key]" in refused.stderr
        assert "ADASCALE_API_KEY" in refused.stderr
        assert run(env, "runs", "list", "--json").stdout.strip() == "", (
            "nothing was searched, so nothing is kept"
        )
        env["ADASCALE_API_KEY"] = "schlüssel"
        assert "no HTTP header carries" in ask(env, server.url).stderr
        env["ADASCALE_API_KEY"] = " "
        assert "hint: ADASCALE_API_KEY with a key in it" in ask(env, server.url).stderr
        env["ADASCALE_API_KEY"] = "sesame\n"
        assert ask(env, server.url).returncode == 0


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        (("-g", "gpt"), 4, 'error[model-not-found]: the model "gpt" is not served here; there is scripted'),
        (("--samples", "3"), 2, "--samples cannot be asked of a server"),
        (("--temp", ".7", "-t", "4"), 2, "--temperature and --threads cannot be asked of a server"),
        (("--strategy", "vote"), 2, "hint: leave out --strategy, or --server"),
        (("--min-confidence", ".9"), 3, "less sure than --min-confidence 0.9"),
    ],
)
def test_what_a_server_does_not_do_is_said(
    env: dict[str, str], options: tuple[str, ...], code: int, error: str
) -> None:
    with served(policy=EchoPolicy(steady)) as server:
        done = ask(env, server.url, *options)
    assert done.returncode == code
    assert error in done.stderr


def test_a_question_that_fails_has_the_exit_code_of_its_error(env: dict[str, str]) -> None:
    with served(policy=EchoPolicy(steady)) as server:
        done = ask(env, server.url, question="A long one")
    assert done.returncode == 5
    assert "error[context-overflow]" in done.stderr


@pytest.mark.parametrize(
    ("status", "slug", "code", "error"),
    [
        (400, "invalid-request", 2, "error[invalid-request]: so it says"),
        (405, "method-not-allowed", 2, "error[no-server]"),
        (413, "body-too-long", 2, "error[body-too-long]: so it says"),
        (429, "queue-full", 1, "error[queue-full]: so it says\nhint: ask again in 7 seconds"),
        (500, "unexpected", 1, "error[unexpected]: so it says"),
        (503, "stopping", 4, "error[stopping]: so it says"),
    ],
)
def test_a_refusal_of_the_server_has_its_words_and_an_exit_code(
    env: dict[str, str], status: int, slug: str, code: int, error: str
) -> None:
    body = json.dumps({"error": {"message": "so it says", "code": slug}})
    with replying(f"HTTP/1.1 {status} No", "Retry-After: 7", f"Content-Length: {len(body)}", "", body) as url:
        done = ask(env, url)
    assert (done.returncode, error in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize(
    ("answer", "code", "error"),
    [
        (("HTTP/1.1 404 Not Found", "Content-Length: 4", "", "what"), 2, "error[no-server]"),
        (
            log_of(to_json(replace(Log().events[0], schema="adascale.trace/9"))),
            1,
            "the server is adascale 9.9",
        ),
        (log_of({"kind": "tomorrow"}), 1, "error[server-version]"),
        (log_of(), 1, "error[worker-died]"),
        (("nonsense",), 1, "error[worker-died]"),
    ],
)
def test_another_or_a_broken_server_is_told(
    env: dict[str, str], answer: tuple[str, ...], code: int, error: str
) -> None:
    with replying(*answer) as url:
        done = ask(env, url)
    assert (done.returncode, error in done.stderr) == (code, True), done.stderr


def test_a_server_that_is_away_and_a_text_that_is_no_url(env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    away = ask(env, closed)
    assert (away.returncode, "error[no-server]" in away.stderr) == (4, True)
    nameless = ("http://\N{SNOWMAN}.example", f"http://{'a' * 70}.example")
    for text in ("localhost:8321", "http://", "http://[", "http://h:99999", *nameless):
        done = ask(env, text)
        assert (done.returncode, "is no URL of a server" in done.stderr) == (2, True)
