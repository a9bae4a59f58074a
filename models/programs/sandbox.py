"""Limits of a program, and the rights that its CPython keeps: ``confine`` gives up all others."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import seccomp

KILLED = "TimeoutError: killed"
"""The error of a program that did not end in time."""

_INTERPRETER_BYTES = 64 << 20
"""Address space of CPython and its libraries before the program begins; 14 MB were measured on x86_64."""
_FILE_BYTES = 16 << 20
"""Size of each file that a program writes where no sandbox forbids it."""
_PYTHON_FLAGS = ("-P", "-s", "-S", "-B", "-X", "utf8")
"""As ``-I -S``, which nothing of the user reaches, but for ``PYTHONHASHSEED``."""


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """Limits of one program, whichever interpreter runs it.

    Attributes:
        seconds: Wall time.
        memory_bytes: Size of its heap.
        output_bytes: Size of its output.
        depth: Calls inside of calls.
    """

    seconds: float = 2.0
    memory_bytes: int = 128 << 20
    output_bytes: int = 64 << 10
    depth: int = 500


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Rights that an interpreter gives up before it runs a program.

    Attributes:
        readable: Files and folders that Landlock lets it read, and no other access; None for any.
        calls: Filter of system calls; empty for none.
    """

    readable: tuple[str, ...] | None = None
    calls: bytes = b""

    def command(self, limits: ProgramLimits) -> list[str]:
        """Words of a process that reads a program from its standard input and runs it."""
        settings = {
            "seconds": math.ceil(limits.seconds) + 1,
            "memory_bytes": limits.memory_bytes + _INTERPRETER_BYTES,
            "file_bytes": _FILE_BYTES,
            "depth": limits.depth,
            "readable": self.readable,
            "calls": self.calls.hex(),
        }
        return [_interpreter(), *_PYTHON_FLAGS, "-c", _confine_source(), json.dumps(settings)]


UNSANDBOXED = Sandbox()
"""Limits and an empty environment alone, so only ever by a user's own choice."""


def landlock() -> Sandbox:
    """Landlock and seccomp: the system's files can be read, none written, few calls made.

    Names, sizes and times of files stay visible, as no Landlock rule covers ``stat``.

    Raises:
        KeyError: there is no filter of system calls for this kind of processor.
    """
    return Sandbox(_system_paths(), seccomp.call_filter(platform.machine()))


def _interpreter() -> str:
    """This interpreter without its virtual environment."""
    return os.path.realpath(sys.executable)


def _system_paths() -> tuple[str, ...]:
    """Libraries and the interpreter's own installation: all that a program may read."""
    system = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/nix/store", "/gnu/store")
    python = (sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib"), _interpreter())
    return tuple(dict.fromkeys(path for path in (*system, *python) if os.path.exists(path)))


@cache
def _confine_source() -> str:
    return Path(__file__).with_name("confine.py").read_text(encoding="utf-8")
