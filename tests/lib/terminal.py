"""Runs a command with stderr on a pseudo terminal, as a user does who pipes only the answer away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import RenderableType

from adascale.cli.render.picture import search_frame
from adascale.cli.render.state import ViewState
from adascale.cli.terminal.console import new_console, plain_text

LIMIT_SECONDS = 40.0


@dataclass(frozen=True)
class Outcome:
    """Output and exit code of a command."""

    stdout: str
    stderr: str
    code: int


class Screen:
    """Everything that was written to the terminal so far."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        # Linux answers EIO once the other side is closed.
        with contextlib.suppress(OSError):
            while chunk := os.read(self._master, 65536):
                self._data += chunk

    @property
    def text(self) -> str:
        return self._data.decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        """Return as soon as ``text`` is on the screen."""
        end = time.monotonic() + LIMIT_SECONDS
        while text not in self.text:
            assert time.monotonic() < end, f"{text!r} never came, only {self.text!r}"
            time.sleep(0.01)

    def press(self, key: str, until: Callable[[], bool]) -> None:
        """Press a key again and again: what is typed before a program listens is lost."""
        end = time.monotonic() + LIMIT_SECONDS
        while not until():
            assert time.monotonic() < end, f"{key!r} changed nothing: {self.text!r}"
            os.write(self._master, key.encode())
            time.sleep(0.05)

    def type(self, text: str) -> None:
        """Type to a program that listens."""
        os.write(self._master, text.encode())

    @property
    def echoes(self) -> bool:
        """True if the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def close(self) -> str:
        self._thread.join(LIMIT_SECONDS)
        os.close(self._master)
        return self.text


def environment(**extra: str) -> dict[str, str]:
    """A plain terminal's environment, whatever the tests run in."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "HOME", "TMPDIR")}
    return {**kept, "LANG": "C.UTF-8", "TERM": "xterm-256color", "PYTHONDONTWRITEBYTECODE": "1", **extra}


def on_terminal(
    args: Sequence[str],
    env: Mapping[str, str],
    *,
    act: Callable[[subprocess.Popen[bytes], Screen], None] = lambda process, screen: None,
    keyboard: bool = False,
    whole: bool = False,
) -> Outcome:
    """Run ``python ARGS``: stderr is a terminal of 24 rows and 80 columns.

    So is stdin with a ``keyboard``, and stdout of a ``whole`` terminal, which ``Outcome.stderr`` has too.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [sys.executable, *args],
        stdin=slave if keyboard else subprocess.DEVNULL,
        stdout=slave if whole else subprocess.PIPE,
        stderr=slave,
        env=dict(env),
    ) as process:
        os.close(slave)
        screen = Screen(master)
        try:
            act(process, screen)
            stdout, _ = process.communicate(timeout=LIMIT_SECONDS)
        finally:
            process.kill()
    return Outcome((stdout or b"").decode(), screen.close(), process.returncode)


def piped(args: Sequence[str], env: Mapping[str, str]) -> Outcome:
    """Run ``python ARGS`` with both streams in pipes."""
    done = subprocess.run(
        [sys.executable, *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=dict(env),
        timeout=LIMIT_SECONDS,
        check=False,
    )
    return Outcome(done.stdout.decode(), done.stderr.decode(), done.returncode)


def shown(drawn: RenderableType, width: int) -> str:
    """A drawing as plain lines, with its clock stopped."""
    return re.sub("[◓◑◒]", "◐", plain_text(drawn, width))


def frame(state: ViewState, width: int, height: int, *, show_tree: bool = False) -> str:
    """A frame of a live view as plain lines."""
    console = new_console(width=width, color_system=None)
    return shown(search_frame(state, console, height, show_tree=show_tree), width)
