"""``ask`` on a real (pseudo) terminal, with a tiny model."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from loopback import Server, publish_repo
from terminal import Screen, environment, on_terminal

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(HOME=str(tmp_path), HF_HOME=str(tmp_path / "hf"))


def ask(chain_gguf: Path, *options: str) -> list[str]:
    words = ["-m", "adascale", "ask", "-m", str(chain_gguf), "--seed", "1"]
    return [*words, "What is [/] 9 * 2?\x1b[2J", *options]


def test_ctrl_c_prints_the_best_answer_so_far(env: dict[str, str], chain_gguf: Path) -> None:
    def interrupt(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("★")  # a solution has finished
        process.send_signal(signal.SIGINT)

    words = ask(chain_gguf, "-T", "--strategy", "vote", "-o", "samples", "1024")
    outcome = on_terminal(words, env, act=interrupt)
    assert outcome.code == 130, outcome.stderr
    assert "\nAnswer: " in outcome.stdout
    assert "Ctrl-C again to quit now" in outcome.stderr
    assert outcome.stderr.rindex(SHOW) > outcome.stderr.rindex(HIDE)


@pytest.mark.slow
def test_the_question_before_a_download_has_the_terminal_to_itself(env: dict[str, str], hub: Server) -> None:
    publish_repo(hub, "acme/Tiny-GGUF", {"tiny-Q4_K_M.gguf": 98_000_000})
    drawn: list[str] = []

    def refuse(_: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("[Y/n] ")
        time.sleep(0.5)  # two frames
        drawn.append(screen.text)
        screen.type("n\n")

    words = ["-m", "adascale", "ask", "-m", "acme/Tiny-GGUF:Q4_K_M", "What is 9 * 2?"]
    outcome = on_terminal(words, {**env, "HF_ENDPOINT": hub.url}, act=refuse, keyboard=True)
    assert outcome.code == 4, outcome.stderr
    [asked] = drawn
    assert "Loading..." in asked
    lines = asked.rpartition("\x1b[2K")[2].splitlines()
    assert lines[-1] == "download it? [Y/n] "
    assert "adascale: acme/Tiny-GGUF" in lines[0], lines
    assert HIDE not in asked.rpartition(SHOW)[2]
