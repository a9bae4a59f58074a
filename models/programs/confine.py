"""The first lines of a fresh interpreter: it gives up its rights for good, then becomes the program.

Runs as ``python -c SOURCE SETTINGS`` with the program and its tests as its standard input, where no file of
this package can be read; so this is one file that imports the standard library alone. Settings are the
arguments of ``main`` as JSON. Limits, Landlock rules and the filter of system calls are held by the kernel,
and no process can take them back.
"""

from __future__ import annotations

import builtins
import ctypes
import io
import json
import os
import resource
import signal
import struct
import sys
import types
from collections.abc import Callable, Mapping

# Windows has none of these limits; this also tells type checkers so.
assert sys.platform != "win32"

_PROCESSES = 4096
"""The kernel counts all processes and threads of the user, so this only ends what has run wild."""
_OPEN_FILES = 64
_SHOWN = 200
"""Characters of a value or message that is reported."""

# linux/landlock.h and linux/prctl.h; the numbers of these calls are the same on every machine.
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_ALL_OF_ABI_3 = (1 << 15) - 1
"""Every way to open, make, move, remove or truncate a file; kernels before 6.2 cannot refuse to truncate."""
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9

_LIBC = ctypes.CDLL(None, use_errno=True)


def main(
    seconds: int, memory_bytes: int, file_bytes: int, depth: int, readable: list[str] | None, calls: str
) -> None:
    """Read a program and its tests, give up what the settings say, and run them.

    Args:
        seconds: CPU time; wall time too, for a program that outlives the process that watches it.
        memory_bytes: Address space, the interpreter's own included.
        file_bytes: Size of any file that it writes.
        depth: Python calls inside of calls.
        readable: Files and folders that Landlock lets it read; None leaves files to what is around.
        calls: Filter of system calls, in hexadecimal; empty for none.
    """
    given = json.load(sys.stdin.buffer)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # lines stay where a program is killed
    sys.argv = ["program.py"]
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # as ``site`` would
    sys.setrecursionlimit(depth)
    signal.alarm(seconds)
    limit_resources(seconds, memory_bytes, file_bytes)
    if readable is not None:
        restrict_files(readable)
    if calls:
        end_with_parent()
        restrict_calls(bytes.fromhex(calls))
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    exec(compile(given.pop("program"), "program.py", "exec", dont_inherit=True), vars(module))
    if given["tests"]:
        run_tests(vars(module), **given)


def run_tests(module: Mapping[str, object], tests: list[str], reports: int, marker: str) -> None:
    """Run tests and end the process, whatever threads the program has left.

    Args:
        module: What the program has defined; each test gets a copy of the names.
        tests: Sources of the tests.
        reports: File descriptor of the pipe for verdicts.
        marker: Begins the line of each verdict.
    """
    with os.fdopen(reports, "w", encoding="ascii") as pipe:
        for source in tests:
            verdict = "passed", ""
            try:
                names = {**module, "__name__": "tests"}
                exec(compile(source, "tests.py", "exec", dont_inherit=True), names)
            except BaseException as error:
                verdict = verdict_on(error)
            print(marker, json.dumps(verdict), file=pipe, flush=True)
    sys.stdout.flush()
    os._exit(0)


def verdict_on(error: BaseException) -> tuple[str, str]:
    """Outcome and detail of a test that has raised; an assert of the program itself is no failed test."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    message = shown(str, error)
    if not isinstance(error, AssertionError) or trace is None:
        return "error", ": ".join(filter(None, [type(error).__name__, message]))
    frame = trace.tb_frame
    if frame.f_code.co_filename == "program.py":
        return "error", ": ".join(filter(None, ["AssertionError", message]))
    asked = frame.f_locals.get("asked_adascale", error)
    return "failed", message or ("" if asked is error else shown(repr, asked))


def shown(write: Callable[[object], str], value: object) -> str:
    """A value as text, which the program may have a part in."""
    try:
        return str(write(value))[:_SHOWN]
    except BaseException:
        return "<unprintable>"


def end_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def limit_resources(seconds: int, memory_bytes: int, file_bytes: int) -> None:
    """Set soft and hard limits of this process."""
    limits = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NPROC: _PROCESSES,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for which, limit in limits.items():
        lower_limit(which, limit)


def lower_limit(which: int, limit: int) -> None:
    """Set the soft and the hard limit of a resource, never above the hard one that is there."""
    hard = resource.getrlimit(which)[1]
    lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    try:
        resource.setrlimit(which, (lowest, lowest))
    except ValueError:
        if sys.platform == "linux":  # macOS refuses to limit the address space
            raise


def restrict_files(readable: list[str]) -> None:
    """Refuse every access to files but reading those below ``readable`` (Landlock), and ``/dev/null``."""
    if sys.platform != "linux":
        raise OSError("Landlock is a part of Linux")
    rules = dict.fromkeys(readable, _READ_FILE) | {os.devnull: _READ_FILE | _WRITE_FILE}
    ruleset = _call(
        "landlock_create_ruleset", _LANDLOCK_CREATE_RULESET, struct.pack("=Q", _ALL_OF_ABI_3), 8, 0
    )
    for path, access in rules.items():
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", access | (_READ_DIR if os.path.isdir(path) else 0), beneath)
        _call("landlock_add_rule", _LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        os.close(beneath)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _call("landlock_restrict_self", _LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def restrict_calls(instructions: bytes) -> None:
    """Install a filter of system calls (seccomp)."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    filter_program = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(buffer))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_program)


def _prctl(option: int, *arguments: int | bytes) -> None:
    padded = [*arguments, 0, 0, 0, 0][:4]
    _checked("prctl", _LIBC.prctl(option, *map(_word, padded)))


def _call(name: str, number: int, *arguments: int | bytes) -> int:
    """One system call of which the C library has no wrapper."""
    return _checked(name, _LIBC.syscall(_word(number), *map(_word, arguments)))


def _word(argument: int | bytes) -> ctypes.c_long | bytes:
    """Variadic arguments are whole registers; ctypes would pass an int as 32 bits."""
    return argument if isinstance(argument, bytes) else ctypes.c_long(argument)


def _checked(name: str, result: int) -> int:
    if result < 0:
        raise OSError(f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
