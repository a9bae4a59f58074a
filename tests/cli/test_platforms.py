"""Differences between machines that any machine can test: code pages of consoles, odd and long paths."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import clean_env

from adascale.cli.terminal.console import may_animate

Run = Callable[..., subprocess.CompletedProcess[bytes]]

QUESTION = "Was ist 9 \u00d7 2? \u7b54\u3048 \U0001f986"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A command in a folder of its own; the options of a search that takes a moment."""

    def start(
        *args: str, encoding: str = "utf-8", cwd: Path = tmp_path
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-m", "adascale", *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=cwd,
            env=clean_env(tmp_path) | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
            timeout=60,
        )
        assert b"Traceback" not in done.stderr, done.stderr
        return done

    return start


SEARCH = ("-o", "budget", "120", "--strategy", "vote", "-o", "samples", "2", "--seed", "1")


@pytest.mark.slow
def test_output_survives_a_legacy_code_page(run: Run, chain_gguf: Path, tmp_path: Path) -> None:
    encoding = "cp1252"
    asked = run("ask", QUESTION, "-m", str(chain_gguf), *SEARCH, encoding=encoding)
    assert (asked.returncode, asked.stdout.split()[-1]) == (0, b"18"), asked.stderr
    asked = run("ask", QUESTION, "-m", str(chain_gguf), *SEARCH, "--show-tree", "--json", encoding=encoding)
    assert json.loads(asked.stdout.decode(encoding))["question"] == QUESTION
    for command in (
        ("replay",), ("doctor",), ("ask", "--help"), ("ask", QUESTION, "-m", "./\u7b54.gguf"),
    ):  # fmt: skip
        done = run(*command, encoding=encoding)
        done.stdout.decode(encoding)
        done.stderr.decode(encoding)
        assert done.returncode in (0, 4), (command, done.stderr)


@pytest.mark.parametrize(
    ("platform", "env", "draws"),
    [("win32", {}, True), ("linux", {"TERM": "dumb"}, False), ("linux", {"TERM": "xterm", "CI": "1"}, False)],
)
def test_only_a_terminal_that_moves_its_cursor_is_drawn_on_and_one_of_windows_has_no_term(
    platform: str, env: dict[str, str], draws: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = SimpleNamespace(isatty=lambda: True, encoding="utf-8")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "stderr", console)
    monkeypatch.setattr(os, "environ", env)
    assert may_animate() is draws


FOLDERS = {
    "odd": "two  spaces, \u00fcml\u00e4ut-\u7b54\u3048-\U0001f986, 'quotes' [x] $HOME;&",
    "480 characters": "/".join(["long" * 30] * 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_any_folder_can_hold_models_questions_and_results(
    folder: str, run: Run, chain_gguf: Path, tmp_path: Path
) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True)
    model = place / "m\u00f6del 1.gguf"
    model.write_bytes(chain_gguf.read_bytes())
    questions, output = place / "ques tions.jsonl", place / "an swers.jsonl"
    questions.write_text(json.dumps({"id": "a", "question": QUESTION}), encoding="utf-8")
    assert run("show", str(model)).returncode == 0
    batch = ("batch", questions.name, "--output", output.name, "-m", f".{os.sep}{model.name}")
    done = run(*batch, "--traces", "tra ces", *SEARCH, cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(output.read_text(encoding="utf-8"))["question"] == QUESTION
    assert run("replay", str(place / "tra ces" / "a.jsonl")).returncode == 0
