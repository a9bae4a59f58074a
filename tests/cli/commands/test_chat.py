"""``chat`` as a user types it, on tiny models: in a pipe, and on a pseudo terminal."""

from __future__ import annotations

import fcntl
import json
import signal
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from commands import clean_env, run, wait_until
from terminal import Outcome, Screen, environment, on_terminal

Talk = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what was measured of this machine is kept."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def env(home: Path, tmp_path: Path) -> dict[str, str]:
    folders = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_DATA_HOME": str(tmp_path / "data")}
    return {**clean_env(home), **folders}


@pytest.fixture
def talk(env: dict[str, str], chain_gguf: Path) -> Talk:
    """Lines that are piped into a conversation."""

    def call(*lines: str, args: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return run(env, "chat", "-m", str(chain_gguf), *args, stdin="\n".join(lines).encode())

    return call


def asked(env: dict[str, str]) -> list[dict[str, Any]]:
    """Problems of the kept runs, the oldest first."""
    return [begin["problem"] for begin in begun(env)]


def begun(env: dict[str, str]) -> list[dict[str, Any]]:
    """First events of the kept runs, the oldest first."""
    runs = sorted(Path(env["XDG_STATE_HOME"]).glob("adascale/runs/*.jsonl"))
    return [json.loads(path.read_text().splitlines()[0]) for path in runs]


def test_each_line_is_answered_after_what_was_said_before(talk: Talk, env: dict[str, str]) -> None:
    done = talk("hi", "", "What is twice 9?", "Thanks!")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The answer is") == 2
    assert {"18", "20"} & set(done.stdout.splitlines()), "its seed decides which"
    first, second, third = asked(env)
    assert [first.get("kind"), second.get("kind"), third.get("kind")] == ["text", None, "text"]
    assert "\\boxed" in third["history"][3]["content"], "what the model wrote, not what was shown"


def test_ask_goes_on_from_the_last_message(talk: Talk, env: dict[str, str], chain_gguf: Path) -> None:
    talk("hi", "What is twice 9?")
    assert run(env, "ask", "-m", str(chain_gguf), "-c", "and times two?").returncode == 0
    assert [turn["content"] for turn in asked(env)[-1]["history"]][::2] == ["hi", "What is twice 9?"]
    talk("So?", args=("-c",))
    assert len(asked(env)[-1]["history"]) == 6


def test_commands_change_what_comes_next(talk: Talk, env: dict[str, str], tmp_path: Path) -> None:
    other = tiny.write_chain(tmp_path / "other.gguf", {"\n": {tiny.YES: 3.0}, tiny.YES: {tiny.END: 3.0}})
    done = talk("hi", f"/model {other}", "/effort max", "/clear", "What is twice 9?", "/help", "exit", "hm")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Yes"), done.stderr
    assert len(asked(env)) == 2
    assert asked(env)[-1].get("history") is None
    assert begun(env)[-1]["params"]["samples"] == 64
    for shown in (f"model: {other}", "effort: max", "/effort LEVEL"):
        assert shown in done.stderr


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("/modle x", 2, "hint: /help lists them"),
        ("/effort most", 2, "low, medium, high, max"),
        ("/model no-such-model", 4, "error[model-not-found]"),
        ("/tmp/notes what is this?", 0, ""),
    ],
)
def test_a_command_that_cannot_be_obeyed_ends_a_pipe(talk: Talk, line: str, code: int, said: str) -> None:
    done = talk("hi", line)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_message_that_is_too_long_leaves_the_conversation_as_it_was(
    env: dict[str, str], chain_gguf: Path
) -> None:
    def act(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for(">>> ")
        screen.type("hi\r")
        for message, until in (
            ("b" * 400, "/clear forgets the conversation"),
            ("/clear", "forgotten"),
        ):
            screen.type(f"{message}\r")
            screen.wait_for(until)
        screen.press("\x04", until=lambda: process.poll() is not None)

    done = on_screen(env, chain_gguf, act, "-o", "ctx_size", "512")
    said = " ".join(done.stderr.split())
    assert (done.code, "adascale chat -c goes on with -o ctx_size 768" in said) == (0, True), said


# On a terminal


def on_screen(
    env: dict[str, str], model: Path, act: Callable[[subprocess.Popen[bytes], Screen], None], *args: str
) -> Outcome:
    here = environment(
        ADASCALE_SEED="1", **{k: v for k, v in env.items() if k == "HOME" or k.startswith("XDG_")}
    )
    return on_terminal(["-m", "adascale", "chat", "-m", str(model), *args], here, act=act, keyboard=True)


def unread(process: subprocess.Popen[bytes]) -> int:
    """Bytes that it has written to stdout."""
    assert process.stdout is not None
    return struct.unpack("i", fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)))[0]  # type: ignore[no-any-return]


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A model that never ends."""
    chain = {"\n": {"O": 3.0}, "O": {"k": 3.0}, "k": {"O": 3.0}}
    return tiny.write_chain(tmp_path / "endless.gguf", chain, context=100_000)


def test_ctrl_c_stops_a_reply_and_the_conversation_goes_on(env: dict[str, str], endless: Path) -> None:
    def act(process: subprocess.Popen[bytes], screen: Screen) -> None:
        def stop_a_reply(number: int) -> None:
            screen.wait_for(">>> ")
            before = unread(process)
            screen.type("hi\r")
            wait_until(lambda: unread(process) >= before + 3)
            process.send_signal(signal.SIGINT)
            wait_until(lambda: screen.text.count("stopped by you") == number)

        stop_a_reply(1)
        stop_a_reply(2)
        screen.press("\x04", until=lambda: process.poll() is not None)

    done = on_screen(env, endless, act, "-o", "max_tokens", "3500", "-o", "ctx_size", "4096")
    assert done.code == 0, done.stderr
    second = asked(env)[1]["history"]
    assert [turn["role"] for turn in second] == ["user", "assistant"]
    assert set(second[1]["content"]) == {"O", "k"}
    assert done.stdout.splitlines()[0].startswith(second[1]["content"][:-1])


def test_a_signal_at_the_prompt_ends_it_and_gives_the_terminal_back(
    env: dict[str, str], chain_gguf: Path
) -> None:
    def act(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for(">>> ")
        process.send_signal(signal.SIGTERM)

    done = on_screen(env, chain_gguf, act)
    assert done.code == 128 + signal.SIGTERM, done.stderr
    assert "Traceback" not in done.stderr
