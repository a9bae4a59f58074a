"""Which sandbox holds programs on this machine: each is tried once, by a program that tries to leave it."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import closing
from functools import cache
from tempfile import NamedTemporaryFile

from adascale.engine.errors import AdascaleError, setting

from .cpython import CPythonRunner
from .limits import ProgramLimits
from .sandboxes import Sandbox, bubblewrap_programs, candidates

_LIMITS = ProgramLimits(seconds=10.0)
"""Far more than the 30 ms that it takes, for machines that are busy."""

_ATTEMPTS = """
import os, socket

def attempt(name, escape):
    try:
        escape()
    except OSError:
        return
    print(name)

attempt("reads files", lambda: open({file!r}).read())
attempt("opens connections", lambda: socket.create_connection(("127.0.0.1", {port}), 1))
attempt("signals processes", lambda: os.kill({process}, 0))
print("ended")
"""


@cache
def find_sandbox() -> Sandbox:
    """The strongest sandbox that holds on this machine; an AdascaleError with the reasons where none does."""
    reasons = []
    for sandbox in candidates():
        reason = why_not(sandbox)
        if not reason:
            return sandbox
        reasons.append(f"{sandbox.name}: {reason}")
    raise AdascaleError(
        "no sandbox of this machine holds programs", *reasons, hint=_remedy(), slug="no-sandbox"
    )


def why_not(sandbox: Sandbox) -> str:
    """Why a sandbox does not start or does not hold; empty where it does both."""
    try:
        with NamedTemporaryFile() as file, closing(socket.create_server(("127.0.0.1", 0))) as server:
            program = _ATTEMPTS.format(file=file.name, port=server.getsockname()[1], process=os.getpid())
            execution = CPythonRunner(sandbox, _LIMITS).run(program)
    except OSError as error:
        return f"it cannot be tried: {error}"
    *escapes, end = execution.output.split("\n")[:-1] or [""]
    if execution.error or end != "ended":
        return execution.error or "it does not start"
    return f"a program in it {', '.join(escapes)}" if escapes else ""


def _remedy() -> str:
    """What to install, where that can help; else how to do without."""
    if sys.platform == "win32":
        return "on Windows programs run in monty alone"
    if sys.platform == "linux" and not any(bubblewrap_programs()):
        return "pip install 'adascale[sandbox]'"
    return f"{setting('unsandboxed', True)} runs programs with limits alone"
