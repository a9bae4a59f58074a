"""A model that is the address of a server, wherever a command takes one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import replies
from commands import Home, run
from loopback import KEY, WebServer, listening
from replies import errs, writes_words
from scripted_server import Served, served

import adascale
from adascale.models.calibration.artefact import load_artefact
from adascale.models.options import SessionOptions
from adascale.models.upstream import probe


def lists(*names: str) -> dict[str, object]:
    return {"object": "list", "data": [{"id": name} for name in names]}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.asking(tmp_path, tmp_path / "no-model", 3)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture
def other() -> Iterator[WebServer]:
    """A server with two models."""
    with listening(writes_words("It is 4.")) as found:
        found.show({"/v1/models": lists("qwen3:4b", "llama3.2:3b")})
        yield found


def test_a_time_limit_ends_all_that_a_server_stalls(home: Home, other: WebServer) -> None:
    words = ["-m", f"{other.url}#qwen3:4b", "--time-limit", "400ms"]
    other.reply = replies.holds(replies.delta("It"))
    begun = time.monotonic()
    assert home.run("ask", "What is twice 9?", *words).returncode == 3
    done = home.run("batch", str(home.data), *words)
    assert {json.loads(line)["status"] for line in done.stdout.splitlines()} == {"no_answer"}
    assert time.monotonic() - begun < 4, "of .5 and, if one question waits for another, 1.5, and .4"


def test_a_size_that_the_user_says_is_assumed_no_more(home: Home, server: Served) -> None:
    words = ["ask", "Echo 18 + 0?", "-m", server.url, "--seed", "1"]
    assert "1.5B is assumed" in home.run(*words).stderr
    assert "assumed" not in home.run(*words, "-o", "size", "4B").stderr


def test_a_refused_key_is_an_error_that_does_not_show_it(home: Home, other: WebServer) -> None:
    other.reply = errs(401, KEY)
    words = ["ask", "What is twice 9?", "-m", f"{other.url}#qwen3:4b"]
    done = run(home.env, *words, more={"ADASCALE_UPSTREAM_KEY": KEY})
    assert "requires a key" in done.stderr
    assert KEY not in done.stdout + done.stderr
    assert other.keys == {f"Bearer {KEY}"}


def test_list_shows_servers_below_the_models_and_not_in_json(
    home: Home, other: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "LOCAL_PORTS", {int(other.url.rpartition(":")[2]): "Ollama", 9: "nobody"})
    rows = home.run("list").stdout.splitlines()
    assert [row.split()[0] for row in rows[-2:]] == [f"{other.url}#qwen3:4b", f"{other.url}#llama3.2:3b"]
    assert other.url not in home.run("list", "--json").stdout


def test_a_conversation_goes_on_with_a_server(home: Home, other: WebServer, server: Served) -> None:
    said = f"/model {other.url}#qwen3:4b\nHello there.\n"
    done = run(home.env, "chat", "-m", server.url, stdin=said.encode())
    assert (done.returncode, done.stdout) == (0, "It is 4.\n"), done.stderr
    assert f"model: {other.url}#qwen3:4b" in done.stderr


@pytest.mark.parametrize("words", [["pull"], ["show"], ["rm", "--yes"]])
def test_a_command_for_files_refuses_an_address(home: Home, words: list[str]) -> None:
    done = home.run(*words, "http://127.0.0.1:11434#qwen3:4b")
    assert "is the address of a server, which has no file here" in done.stderr


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, server: Served) -> Home:
    """A machine with a fit over the server, which echoes the number in three of four solutions."""
    folder = tmp_path_factory.mktemp("fitted")
    home = Home(folder, folder / "no-model", folder / "known.jsonl")
    rows = [{"id": n, "question": f"Echo {n} + 0?", "answer": str(n)} for n in range(20, 44)]
    home.data.write_text("\n".join(map(json.dumps, rows)))
    done = home.run(*fit(home, server.url))
    assert done.returncode == 0, done.stderr
    assert "scripted  value" in done.stdout
    return home


def fit(home: Home, url: str, *more: str) -> list[str]:
    return ["calibrate", "fit", "-m", url, "-d", str(home.data), "-o", "size", "4B", *more]


def test_a_fit_over_a_server_is_used_for_it_and_for_no_other_model_prompt_or_sampler(
    fitted: Home, server: Served
) -> None:
    def asked(url: str, *more: str) -> tuple[str, list[str]]:
        done = fitted.run("ask", "Echo 18 + 0?", "-m", url, "--json", "--seed", "1", *more)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return found["calibration"]["level"], found["warnings"]

    level, warnings = asked(server.url)
    assert level == "fitted"
    assert [each for each in warnings if "assumed" in each] == []
    assert asked(server.url, "-o", "temperature", "0.3")[0] == "prior"
    assert asked(server.url, "--system", "Be brief.")[0] == "prior"
    with listening(writes_words("It is 18.")) as other:
        other.show({"/v1/models": lists("scripted")})
        assert asked(other.url)[0] == "prior"
    with adascale.open_session(SessionOptions(server.url)) as session:  # of another machine
        assert session.conditions("value").models.level == "prior"


def test_a_fit_over_a_server_searches_again_only_what_a_kill_has_torn(fitted: Home, server: Served) -> None:
    [path], [kept] = fitted.shelf.iterdir(), (fitted.shelf.parent / "rollouts").glob("*.jsonl")
    before = load_artefact(path).card
    kept.write_bytes(kept.read_bytes()[:-5])
    read = len(server.policy.opened)
    done = fitted.run(*fit(fitted, server.url))
    assert done.returncode == 0, done.stderr
    assert len({each.question for each in server.policy.opened[read:]}) == 1
    assert load_artefact(path).card == before


def test_what_a_fit_over_a_server_cannot_do_is_told(fitted: Home, server: Served, chain_gguf: Path) -> None:
    [path] = fitted.shelf.iterdir()
    for words, said in (
        (["ask", "Hm?", "-m", server.url, "--calibration", str(path)], "not for a server"),
        (
            ["ask", "Hm?", "-m", str(chain_gguf), "--calibration", str(path)],
            f"it was fitted for {server.url}#scripted",
        ),
    ):
        done = fitted.run(*words)
        assert done.returncode != 0
        assert said in " ".join(done.stderr.split())
