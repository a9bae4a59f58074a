"""``adascale serve`` as a process, with a real worker and a tiny model."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest
from commands import Home, run, run_process
from loopback import KEY, listening
from replies import says

from adascale.cli.commands.serve import page_origin
from adascale.engine.errors import UsageError

READY = "chain is ready, with a context of 2,048 tokens"
CHAT = "/v1/chat/completions"


@dataclass(slots=True)
class Serving:
    """A running server: its process, where it listens, and what it has said."""

    process: subprocess.Popen[str]
    url: str
    said: list[str]

    def post(self, question: str, **more: object) -> httpx2.Response:
        body = {"messages": [{"role": "user", "content": question}], **more}
        return httpx2.post(self.url + CHAT, json=body, timeout=60)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def home(tmp_path: Path, chain_gguf: Path) -> Home:
    return Home.asking(tmp_path, chain_gguf, 0)


@contextmanager
def serving(home: Home, *options: str) -> Iterator[Serving]:
    words = ("serve", "--port", "0", "-o", "threads", "1", "-m", str(home.model), *options)
    with home.piping(*words) as process:
        assert process.stderr is not None
        said: list[str] = []
        while READY not in "".join(said):
            said.append(process.stderr.readline())
            assert said[-1], "it has ended"
        [url] = re.findall(r"listening on (http://\S+)/v1", "".join(said))
        yield Serving(process, url, said)
        process.kill()
        said.append(process.stderr.read())


def test_a_server_answers_survives_its_workers_death_and_ends_when_told(home: Home) -> None:
    with serving(home) as server:
        found = server.post("What is twice 9?", seed=1).json()
        assert found["choices"][0]["message"]["content"].endswith("\n\nAnswer: 18")
        assert found["model"] == "chain"
        usage = server.post("What is twice 9?", seed=1).json()["usage"]
        assert usage["prompt_tokens_details"]["cached_tokens"] > 0
        [loaded] = httpx2.get(f"{server.url}/api/ps").json()["models"]
        assert loaded["context_length"] == 2048

        [worker] = psutil.Process(server.process.pid).children()
        worker.suspend()
        with ThreadPoolExecutor(1) as pool:  # a question that had not begun is asked again
            waiting = pool.submit(server.post, "What is twice 9?", seed=1)
            time.sleep(0.2)
            worker.kill()
            again = waiting.result()
        assert again.status_code == 200, again.text
        # How much was drawn ahead when the search ended depends on the time of batches.
        for name in ("answer", "groups", "votes", "stop_reason", "seed"):
            assert again.json()["adascale"][name] == found["adascale"][name]
        assert server.end(signal.SIGTERM) == 128 + signal.SIGTERM
    said = "".join(server.said)
    assert "was ended by signal 9 (Killed); starting it again" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_options_hold_for_all_requests(home: Home, tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("sesame\n")
    options = ["--effort", "low", "--host", "0.0.0.0", "-o", "parallel", "1"]
    options += ["-o", "budget", "3"]
    access = ("--cors-origin", "https://Pages.example/", "--api-key-file", str(tmp_path / "key.txt"))
    with serving(home, *options, *access) as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx2.get(f"{server.url}/v1/models").status_code == 401
        client = httpx2.Client(base_url=server.url, headers={"X-API-Key": "sesame"}, timeout=60)
        asked = client.get("/v1/models", headers={"Origin": "https://pages.example"})
        assert asked.headers["access-control-allow-origin"] == "https://pages.example"
        searched = client.post(CHAT, json={"messages": [{"role": "user", "content": "What is twice 9?"}]})
        assert searched.json()["adascale"]["stop_reason"] == "budget"
        client.close()
        assert server.end(signal.SIGINT) == 130
    assert "sesame" not in "".join(server.said)


def test_an_unsure_answer_is_handed_on_and_its_trace_and_key_are_kept(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = tmp_path / "traces"
    monkeypatch.setitem(home.env, "ADASCALE_FALLBACK_KEY", KEY)
    with listening(says("\\boxed{99}")) as other:
        unsure = ("-o", "fallback_below", "1", "--fallback", other.url)
        with serving(home, *unsure, "--traces", str(traces)) as server:
            found = server.post("What is twice 9?", seed=5)
    assert found.json()["adascale"]["fallback"]["server"] == other.url.removeprefix("http://")
    assert found.json()["choices"][0]["message"]["content"] == "\\boxed{99}"
    [trace] = traces.iterdir()
    assert KEY not in trace.read_text() + "".join(server.said) + found.text


@pytest.mark.parametrize(
    ("options", "env", "code", "slug"),
    [
        (("--host", "0.0.0.0"), {}, 2, "no-api-key"),
        (("--host", "a..b"), {"ADASCALE_API_KEY": "sesame"}, 2, "cannot-listen"),
        (("--port", "{taken}"), {}, 2, "cannot-listen"),
        (("--api-key-file", "{empty}"), {}, 2, "usage"),
        ((), {"ADASCALE_API_KEY": "schlüssel"}, 2, "usage"),
        (("--port", "0", "-m", os.devnull + ".gguf"), {}, 4, "model-not-found"),
    ],
)
def test_what_cannot_be_served_is_refused(
    home: Home, tmp_path: Path, options: tuple[str, ...], env: dict[str, str], code: int, slug: str
) -> None:
    (tmp_path / "key.txt").write_text("\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"taken": taken.getsockname()[1], "empty": tmp_path / "key.txt"}
        words = [word.format(**names) for word in options]
        run_it = run_process if code == 4 else run  # a model that is not there ends a server that listens
        done = run_it({**home.env, **env}, "serve", "-m", str(home.model), *words)
    assert (done.returncode, f"error[{slug}]" in done.stderr) == (code, True), done.stderr


def test_without_the_extra_its_packages_are_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adascale.serve.mcp", None)
    done = run(home.env, "mcp")
    assert (done.returncode, "error[no-mcp]" in done.stderr) == (2, True), done.stderr
    assert re.search(r"-m pip install .*mcp", done.stderr)


def test_an_origin_is_that_which_a_browser_sends_or_refused() -> None:
    assert page_origin("https://A.example/") == "https://a.example"
    for same in ("http://[::1]:8080", "*", "app://obsidian.md"):
        assert page_origin(same) == same
    for typed in ("a.example", "https://u:p@x", "https://a.example/x"):
        with pytest.raises(UsageError, match="is no origin of a page"):
            page_origin(typed)
