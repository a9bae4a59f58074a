"""A bare CPython that runs programs of tests; nothing contains it."""

from __future__ import annotations

import subprocess
import sys

from adascale.engine.types import Execution


def run(program: str) -> Execution:
    """Run a program in a process of its own, without site-packages."""
    command = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    return Execution(done.stdout, done.stderr.strip().split("\n")[-1], 0.0)
