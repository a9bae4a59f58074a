"""``adascale mcp`` as a process, with a real worker and a tiny model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import tiny
from commands import Home, invoked
from terminal import on_terminal


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.asking(tmp_path, tiny.write_chain(tmp_path / "coder.gguf", tiny.CODER), 0)


def serving(home: Home, *options: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return home.piping("mcp", "-o", "threads", "1", "-m", str(home.model), *options)


def send(process: subprocess.Popen[str], method: str, **more: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "method": method, **more}) + "\n")
    process.stdin.flush()


def ask(process: subprocess.Popen[str], method: str, params: dict[str, Any]) -> dict[str, Any]:
    send(process, method, id=1, params=params)
    assert process.stdout is not None
    result: dict[str, Any] = json.loads(process.stdout.readline())["result"]
    return result


def solve(process: subprocess.Popen[str]) -> dict[str, Any]:
    client = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    ask(process, "initialize", client)
    send(process, "notifications/initialized")
    return ask(process, "tools/call", {"name": "solve", "arguments": {"question": "2 + 2"}})


def test_stdout_has_json_rpc_alone_and_the_end_of_stdin_ends_it(home: Home) -> None:
    with serving(home, "-vv") as process:
        assert not solve(process)["isError"]
        send(process, "prompts/get", id=6, params={"name": "../x"})
        rest, said = process.communicate(timeout=30)
        assert "Traceback" not in said
        assert process.returncode == 0, said
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())
        assert "llama_model_loader" in said


def test_a_terminal_on_stdin_is_refused(home: Home) -> None:
    typed = on_terminal(["-m", "adascale", "mcp", "-m", str(home.model)], home.env, keyboard=True)
    assert (typed.code, typed.stdout) == (2, "")
    assert "stdin is a terminal" in typed.stderr
    assert "adascale mcp --print-config" in typed.stderr


def test_a_model_that_cannot_be_opened_is_told_on_stderr_and_to_the_agent(tmp_path: Path) -> None:
    with serving(Home(tmp_path, tmp_path / "none.gguf", tmp_path)) as process:
        result = solve(process)
        assert result["isError"]
        assert "no such file" in result["content"][0]["text"]
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
        assert process.stderr is not None
        assert "error[model-not-found]" in process.stderr.read()


def test_the_printed_configuration_starts_it_with_the_same_options(home: Home) -> None:
    done = home.run("mcp", "-m", str(home.model), "--print-config")
    entry = json.loads(done.stdout)["mcpServers"]["adascale"]
    assert entry["args"][-3:] == ["mcp", "--model", str(home.model)]
    helped = subprocess.run(
        [entry["command"], *entry["args"], "--help"], env=home.env, capture_output=True, text=True
    )
    assert "Model Context Protocol" in helped.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a call of the installed program, with a model that is a link."""
    for name in ("adascale", "blob", "mcp", "512"):
        (tmp_path / name).touch()
    (tmp_path / "model.gguf").symlink_to("blob")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["adascale"])
    monkeypatch.setenv("ADASCALE_CONFIG", str(tmp_path / "none.toml"))
    return tmp_path


def printed(*options: str) -> list[str]:
    """Program and words of the configuration for a call with these options."""
    entry = json.loads(invoked("mcp", *options, "--print-config")[0])["mcpServers"]["adascale"]
    return [entry["command"], *entry["args"]]


@pytest.mark.parametrize(
    ("typed", "flag", "value"),
    [
        (["-mmodel.gguf"], "--model", "{}/model.gguf"),
        (["--prm", "judge=model.gguf"], "--prm", "judge={}/model.gguf"),
        (["--model=later.gguf"], "--model", "{}/later.gguf"),
        (["--model=http://a:1#qwen3:4b"], "--model", "http://a:1#qwen3:4b"),
    ],
)
def test_files_of_the_printed_configuration_have_absolute_paths(
    folder: Path, typed: list[str], flag: str, value: str
) -> None:
    assert printed(*typed) == [str(folder / "adascale"), "mcp", flag, value.format(folder)]


def test_what_is_no_file_is_printed_as_it_was_typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADASCALE_PARALLEL", "3")  # the client has its own
    again = printed("-vv", "-o", "ctx_size", "512", "--system", "- Be careful.", "-y", "--think=auto")[1:]
    words = ["--think", "auto", "--verbose", "--verbose", "--yes", "-o", "ctx_size", "512"]
    assert again == ["mcp", "--system", "- Be careful.", *words]


def test_the_command_reads_what_it_prints(folder: Path) -> None:
    words = printed("-o", "size", "4B", "-o", "gpu_layers", "all", "--time-limit", "5m", "--think=auto")[2:]
    assert printed(*words)[2:] == words
