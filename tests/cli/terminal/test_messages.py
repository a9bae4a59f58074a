"""Messages as they are typed: keys go in, messages come out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import FileHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from adascale.cli.terminal import messages
from adascale.cli.terminal.messages import typed_messages

ENTER, ALT_ENTER, CTRL_C, CTRL_D, TAB = "\r", "\x1b\r", "\x03", "\x04", "\t"


def pasted(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeInput]:
    monkeypatch.setattr(messages, "create_output", lambda _: DummyOutput())
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield keys


def typed(keyboard: PipeInput, keys: str, history: Path | None = None) -> list[str]:
    """All messages of these keys, and Ctrl-D."""
    keyboard.send_text(keys + CTRL_D)
    commands = ["/model ", "/tree"]
    return list(typed_messages(commands, history, ""))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (f"hi{ENTER}  {ENTER}how are you?{ENTER}", ["hi", "how are you?"]),
        (f"a{ALT_ENTER}b{ENTER}", ["a\nb"]),
        (f"sum:{pasted('1' + ENTER + '2')}{ENTER}", ["sum:1\n2"]),
        (f"never mind{CTRL_C}hi{ENTER}", ["hi"]),
        (f"/mo{TAB}smollm{ENTER}", ["/model smollm"]),
        (f"red \x1b[31mtext\x1b[0m{ENTER}", ["red text"]),
    ],
)
def test_what_keys_send(keyboard: PipeInput, keys: str, expected: list[str]) -> None:
    assert typed(keyboard, keys) == expected


def test_messages_are_kept_and_nobody_else_can_read_them(keyboard: PipeInput, tmp_path: Path) -> None:
    history = tmp_path / "new" / "history"
    assert typed(keyboard, f"first{ENTER}a{ALT_ENTER}b{ENTER}", history) == ["first", "a\nb"]
    assert list(FileHistory(history).load_history_strings()) == ["a\nb", "first"]
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    history.chmod(0o644)
    typed(keyboard, f"third{ENTER}", history)
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_a_history_that_cannot_be_written_or_is_no_file_is_skipped(
    keyboard: PipeInput, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert typed(keyboard, f"hi{ENTER}", tmp_path / "pipe") == ["hi"]
    (tmp_path / "file").touch()
    assert typed(keyboard, f"hi{ENTER}", tmp_path / "file" / "history") == ["hi"]
