"""The streams of a real process on a real (pseudo) terminal."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import run_here
from loopback import WebServer, publish_repo
from sample_log import Log, pens, written
from terminal import Screen, environment, on_terminal, piped

ESC = "\x1b"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"

SLOW = """
import sys
from adascale.cli.commands.replay import replay
from adascale.cli.terminal.signals import graceful

def stop() -> None:
    print("asked to stop", flush=True)

try:
    with graceful(stop):
        replay(sys.argv[1], speed=0.002, show_tree=True, json_output=False)
except KeyboardInterrupt:
    sys.exit(130)
"""
"""Replays so slowly that a signal always comes in the middle of the live view."""

WATCHING = """
import sys
import threading
from adascale.cli.terminal.signals import keyboard

pressed = threading.Event()
with keyboard(pressed.set):
    print("watching", file=sys.stderr)
    pressed.wait()
    pressed.clear()
    print("pressed", file=sys.stderr)
    print(pressed.wait(0.4))
print(repr(sys.stdin.readline()))
"""
"""Tells of an Enter, whether another comes, and the line that is left."""

IMPORTING = """
import os
import signal
from adascale.cli import app

class Interrupted:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGINT)

app.load_command = lambda name: exec({text!r}, globals())
app.say("here")  # whose own imports are over
app.main()
"""
"""Ctrl-C while modules are imported, whose dataclasses run texts and whose classes set names."""


def saved(log: Log, folder: Path) -> str:
    return str(written(folder / "trace.jsonl", log.events))


@pytest.fixture
def trace(tmp_path: Path) -> str:
    log = pens(running=False, pace=0.01)
    log.end()
    return saved(log, tmp_path)


def replay(trace: str, *options: str) -> list[str]:
    return ["-m", "adascale", "replay", trace, *options]


def test_the_answer_goes_to_the_pipe_and_the_tree_to_the_terminal(trace: str) -> None:
    outcome = on_terminal(replay(trace), environment())

    assert outcome.code == 0
    assert outcome.stdout == "27\n"
    assert outcome.stderr.count(HIDE) == outcome.stderr.count(SHOW) == 1
    assert "= 27. So you can buy 27 pens." in outcome.stderr


def test_no_escape_byte_in_pipes(trace: str) -> None:
    outcome = run_here(environment(FORCE_COLOR="1"), "replay", trace)

    assert outcome.stdout == "27\n"
    assert ESC not in outcome.stderr
    assert "\r" not in outcome.stderr
    assert "★ = 27 · = 27. So you can buy 27 pens." in outcome.stderr


def test_keys_do_not_show_in_a_live_view_and_a_signal_gives_the_terminal_back(trace: str) -> None:
    def press(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("question")
        screen.type("unseen\r")
        time.sleep(0.1)
        assert not screen.echoes
        process.send_signal(signal.SIGTERM)
        process.wait()
        assert screen.echoes

    outcome = on_terminal(replay(trace, "--speed", "0.002"), environment(), act=press, keyboard=True)

    assert "unseen" not in outcome.stderr
    assert (outcome.code, outcome.stdout) == (128 + signal.SIGTERM, "")
    assert outcome.stderr.rfind(SHOW) > outcome.stderr.rfind(HIDE) >= 0


def test_a_first_ctrl_c_stops_the_work_and_a_second_one_the_program(trace: str) -> None:
    def twice(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("question")
        process.send_signal(signal.SIGINT)
        screen.wait_for("Stopping... (Ctrl-C again to quit now)")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)

    outcome = on_terminal(["-c", SLOW, trace], environment(), act=twice)

    assert (outcome.code, outcome.stdout) == (130, "asked to stop\n")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return environment(HOME=str(tmp_path), HF_HOME=str(tmp_path / "hf"))


def ask(chain_gguf: Path, *options: str) -> list[str]:
    words = ["-m", "adascale", "ask", "-m", str(chain_gguf), "--seed", "1"]
    return [*words, "What is [/] 9 * 2?\x1b[2J", *options]


def test_ctrl_c_prints_the_best_answer_so_far(home: dict[str, str], chain_gguf: Path) -> None:
    def interrupt(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("★")  # a solution has finished
        process.send_signal(signal.SIGINT)

    words = ask(chain_gguf, "-T", "--strategy", "vote", "-o", "samples", "256")
    outcome = on_terminal(words, home, act=interrupt)
    assert outcome.code == 130, outcome.stderr
    assert outcome.stdout == "18\n"


def test_enter_takes_the_answer_as_it_stands(home: dict[str, str], chain_gguf: Path) -> None:
    def take(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("Enter takes it")
        screen.type("\r")

    words = ask(chain_gguf, "--strategy", "vote", "-o", "samples", "256")
    outcome = on_terminal(words, home, act=take, keyboard=True)
    assert outcome.code in (0, 3), outcome.stderr
    assert outcome.stdout == "18\n"
    assert " · taken by you · " in " ".join(outcome.stderr.split())


def test_a_line_that_is_typed_ahead_waits_for_the_next_reader() -> None:
    def type_ahead(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("watching")
        screen.type("\r")
        screen.wait_for("pressed")
        for key in "n\r":
            screen.type(key)
            time.sleep(0.08)

    outcome = on_terminal(["-c", WATCHING], environment(), act=type_ahead, keyboard=True)
    assert outcome.stdout == "False\n'n\\n'\n"


def test_ctrl_c_before_the_search_is_reported(home: dict[str, str], chain_gguf: Path) -> None:
    def interrupt(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("Loading...")
        process.send_signal(signal.SIGINT)

    outcome = on_terminal(ask(chain_gguf), home, act=interrupt)
    assert (outcome.code, outcome.stdout) == (130, "")
    assert outcome.stderr.endswith("adascale: stopped\n")


@pytest.mark.parametrize("text", ["os.kill(os.getpid(), signal.SIGINT)", "class Made: field = Interrupted()"])
def test_ctrl_c_in_the_middle_of_an_import_is_reported(
    home: dict[str, str], tmp_path: Path, text: str
) -> None:
    (tmp_path / "importing.py").write_text(IMPORTING.format(text=text))
    outcome = piped(["-m", "importing", "list"], {**home, "PYTHONPATH": str(tmp_path)})
    assert (outcome.code, outcome.stdout, outcome.stderr) == (130, "", "here\nadascale: stopped\n")


@pytest.mark.slow
def test_the_question_before_a_download_has_the_terminal_to_itself(
    home: dict[str, str], hub: WebServer
) -> None:
    publish_repo(hub, "acme/Tiny-GGUF", {"tiny-Q4_K_M.gguf": 98_000_000})
    drawn: list[str] = []

    def refuse(_: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("[Y/n] ")
        time.sleep(0.5)  # two frames
        drawn.append(screen.text)
        screen.type("n\n")

    words = ["-m", "adascale", "ask", "-m", "acme/Tiny-GGUF:Q4_K_M", "What is twice 9?"]
    outcome = on_terminal(words, {**home, "HF_ENDPOINT": hub.url}, act=refuse, keyboard=True)
    assert outcome.code == 4, outcome.stderr
    [asked] = drawn
    assert "Loading..." in asked
    lines = asked.rpartition("\x1b[2K")[2].splitlines()
    assert lines[-1] == "download it? [Y/n] "
    assert "adascale: acme/Tiny-GGUF" in lines[0], lines
    assert HIDE not in asked.rpartition(SHOW)[2]


def test_a_reply_on_one_screen_is_drawn_and_stays(home: dict[str, str], chain_gguf: Path) -> None:
    words = ["-m", "adascale", "ask", "-m", str(chain_gguf), "--seed", "1", "Write a poem about the sea."]
    outcome = on_terminal(words, home, whole=True)
    assert outcome.code == 0, outcome.stderr
    drawn, _, left = outcome.stderr.rpartition("\x1b[2K")
    assert "1 reply · " in drawn  # the last frame, which is drawn however quick the search is
    assert left.strip()
    assert "1 reply · " not in left
    assert outcome.stderr.count(HIDE) == outcome.stderr.count(SHOW)
