"""Sandbox of a new interpreter: it gives up its rights for good, then runs a program.

It runs as ``python confine.py SETTINGS``, with the program and its tests on standard input and without this
package; so it is one file that imports only the standard library. Settings are the arguments of ``main`` as
JSON. The kernel enforces limits, Landlock rules and the filter of system calls; no process can undo them.

The filter (seccomp) allows the calls of a single process of CPython, and all others fail: no new process or
program, no connection, no signal, no change of rights, owners, times, priorities or mounts. It is classic BPF
(linux/filter.h, linux/seccomp.h).
"""

from __future__ import annotations

import builtins
import ctypes
import json
import os
import re
import resource
import signal
import struct
import sys
import time
import types
from collections.abc import Callable, Mapping
from contextlib import suppress

# Windows has none of these limits; type checkers read this line.
assert sys.platform != "win32"

_PROCESSES = 4096
"""Processes and threads of the user, which the kernel counts together: a limit for runaway programs only."""
_OPEN_FILES = 64
_SHOWN = 200
"""Most characters of a value or message in a report."""

# linux/landlock.h and linux/prctl.h; the numbers of these calls are the same on every machine.
_LANDLOCK = {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
_RULE_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_ALL_OF_ABI_3 = (1 << 15) - 1
"""Every way to open, make, move, remove or truncate a file; kernels before 6.2 cannot refuse to truncate."""
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9

_CALLS = """
read 0 63, write 1 64, close 3 57, lseek 8 62, pread64 17 67, pwrite64 18 68, readv 19 65, writev 20 66,
open 2 -, creat 85 -, openat 257 56, stat 4 -, lstat 6 -, fstat 5 80, newfstatat 262 79, statx 332 291,
access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -, readlinkat 267 78, statfs 137 43,
fstatfs 138 44, getdents64 217 61, getcwd 79 17, chdir 80 49, fchdir 81 50, umask 95 166, flock 73 32,
fsync 74 82, fdatasync 75 83, ftruncate 77 46, fallocate 285 47, fadvise64 221 223, sendfile 40 71,
copy_file_range 326 285, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -,
renameat 264 38, renameat2 316 276, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, dup 32 23,
dup2 33 -, dup3 292 24, pipe 22 -, pipe2 293 59, eventfd2 290 19, poll 7 -,
ppoll 271 73, select 23 -, pselect6 270 72, epoll_create1 291 20, epoll_ctl 233 21, epoll_wait 232 -,
epoll_pwait 281 22, sendto 44 206, recvfrom 45 207, mmap 9 222, munmap 11 215,
mprotect 10 226, mremap 25 216, madvise 28 233, msync 26 227, brk 12 214, rt_sigaction 13 134,
rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigtimedwait 128 137, rt_sigpending 127 136,
rt_sigsuspend 130 133, sigaltstack 131 132, pause 34 -, restart_syscall 219 128,
set_tid_address 218 96, set_robust_list 273 99, rseq 334 293, futex 202 98, arch_prctl 158 -,
sched_yield 24 124, sched_getaffinity 204 123, getcpu 309 168, exit 60 93, exit_group 231 94, getpid 39 172,
getppid 110 173, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177,
getgroups 115 158, getpgrp 111 -, getpgid 121 155, getsid 124 156, getresuid 118 148, getresgid 120 150,
getrlimit 97 163, getrusage 98 165, uname 63 160, sysinfo 99 179, times 100 153,
getrandom 318 278, time 201 -, gettimeofday 96 169, clock_gettime 228 113, clock_getres 229 114,
clock_nanosleep 230 115, nanosleep 35 101, alarm 37 -, setitimer 38 103, getitimer 36 102,
clone 56 220 0:0x7e030000:0x10000,
fcntl 72 25 2:0xffffffff:0/1/2/3/4/5/6/7/1030,
ioctl 16 29 2:0xffffffff:0x5401/0x5413/0x541b/0x5421/0x5450/0x5451,
prlimit64 302 261 4:0xffffffff:0 5:0xffffffff:0,
socketpair 53 199 2:0xf:1
"""
"""Name, number on x86_64, number on aarch64 (a dash if it lacks the call), and conditions of its arguments.

A condition has the index of a 32-bit word (two for each argument, the low one first), a mask, and the allowed
values.

- clone: a thread, in no namespace of its own
- fcntl: F_DUPFD to F_SETLKW and F_DUPFD_CLOEXEC; F_SETOWN would let the kernel signal another process
- ioctl: TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
- prlimit64: no new limits, as the pointer to them is null
- socketpair: SOCK_STREAM, as event loops have; a datagram socket could send to any address
"""

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the table, and AUDIT_ARCH of linux/audit.h."""

_COMMON_NUMBERS = 424
"""First number that all machines share; C libraries work without these calls on older kernels."""

# linux/bpf_common.h: load a word, mask it, compare, return.
_LOAD, _AND, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_KILL, _ALLOW, _FAIL = 0x80000000, 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38

MACHINES = tuple(_ARCHITECTURES)
"""Supported values of ``platform.machine()``."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def main(seconds: int, memory_bytes: int, file_bytes: int, depth: int, sandboxed: bool) -> None:
    """Read a program and its tests, give up rights, and run them.

    Args:
        seconds: CPU time; also wall time, for a program that outlives its parent.
        memory_bytes: Address space, the interpreter's own included.
        file_bytes: Size of each file that it writes, its output included.
        depth: Depth of recursion.
        sandboxed: Restrict files and system calls, too.
    """
    request = json.load(sys.stdin.buffer)  # to the end, so the program has no input
    sys.argv = ["program.py"]
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # as ``site`` would
    sys.setrecursionlimit(depth)
    signal.alarm(seconds)
    if not request["tests"]:
        forget_outside()
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
    if sandboxed:
        restrict_files(system_paths())
        _call("prctl", _PR_SET_PDEATHSIG, _SIGKILL)  # when the thread that started it ends
        restrict_calls()
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    exec(compile(request.pop("program"), "program.py", "exec", dont_inherit=True), vars(module))
    if request["tests"]:
        run_tests(vars(module), **request)


def forget_outside() -> None:
    """Make a program repeatable: random numbers have a seed, and a call for the date fails."""
    vars(sys)["modules"].update(_datetime=None, _zoneinfo=None)  # types in C cannot be changed
    import datetime
    import random

    random.seed(0)
    vars(time).update(time=lambda: 0.0)
    for clock in "now", "utcnow":
        delattr(datetime.datetime, clock)
    delattr(datetime.date, "today")


def run_tests(module: Mapping[str, object], tests: list[str], reports: int, marker: str) -> None:
    """Run tests and end the process, with any threads of the program.

    Args:
        module: Names of the program; each test gets a copy.
        tests: Sources of the tests.
        reports: File descriptor for verdicts.
        marker: Beginning of each verdict's line.
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
    """Outcome and detail of a test's exception; a failed assert of the program itself is an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    message, is_assert = shown(str, error), isinstance(error, AssertionError)
    if not is_assert or trace is None or trace.tb_frame.f_code.co_filename == "program.py":
        return "error", ": ".join(filter(None, [type(error).__name__, message]))
    asked = trace.tb_frame.f_locals.get("asked_adascale", error)
    return "failed", message or ("" if asked is error else shown(repr, asked))


def shown(write: Callable[[object], str], value: object) -> str:
    """A value as text; ``write`` may call code of the program."""
    try:
        return str(write(value))[:_SHOWN]
    except BaseException:
        return "<unprintable>"


def lower_limit(which: int, limit: int) -> None:
    """Set the soft and the hard limit of a resource, at most to its present hard limit."""
    hard = resource.getrlimit(which)[1]
    lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    with suppress(ValueError):  # macOS refuses to limit the address space
        resource.setrlimit(which, (lowest, lowest))


def system_paths() -> list[str]:
    """Libraries and the interpreter's installation, which a program may read."""
    system = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/nix/store", "/gnu/store")
    return [path for path in (*system, sys.base_prefix, sys.base_exec_prefix) if os.path.exists(path)]


def restrict_files(readable: list[str]) -> None:
    """Refuse all access to files (Landlock), except reading below ``readable``, and ``/dev/null``.

    Names, sizes and times of files stay visible, as no Landlock rule covers ``stat``.
    """
    if sys.platform != "linux":
        raise OSError("Landlock is a part of Linux")
    rules = dict.fromkeys(readable, _READ_FILE) | {os.devnull: _READ_FILE | _WRITE_FILE}
    ruleset = _call("landlock_create_ruleset", struct.pack("=Q", _ALL_OF_ABI_3), 8)
    for path, access in rules.items():
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", access | (_READ_DIR if os.path.isdir(path) else 0), beneath)
        _call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule)
        os.close(beneath)
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1)
    _call("landlock_restrict_self", ruleset)
    os.close(ruleset)


def restrict_calls() -> None:
    """Install the filter of system calls.

    Raises:
        OSError: the kernel has none, or there is no table for this kind of processor.
    """
    machine = os.uname().machine
    if machine not in MACHINES:
        raise OSError(f"there is no filter of system calls for {machine}")
    instructions = call_filter(machine)
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1)
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    filter_program = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(buffer))
    _call("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_program)


def call_filter(machine: str) -> bytes:
    """Instructions of the filter, 8 bytes each, for one of ``MACHINES``."""
    column, architecture = _ARCHITECTURES[machine]
    code = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_IF_EQUAL, architecture, skip_if_true=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
    ]
    for entry in _CALLS.split(","):
        _, *numbers, conditions = [*entry.split(maxsplit=3), ""][:4]
        if numbers[column] != "-":
            code += _allowed(int(numbers[column]), conditions.split())
    code += [
        _instruction(_IF_AT_LEAST, _COMMON_NUMBERS, skip_if_false=1),
        _instruction(_RETURN, _FAIL | _ENOSYS),
        _instruction(_RETURN, _FAIL | _EPERM),
    ]
    return b"".join(code)


def _allowed(number: int, conditions: list[str]) -> list[bytes]:
    """Allow a call if its arguments meet the conditions."""
    body: list[bytes] = []
    for condition in conditions:
        index, mask, *values = (int(word, 0) for word in re.split("[:/]", condition))
        body += [_instruction(_LOAD, _FIRST_ARGUMENT + 4 * index), _instruction(_AND, mask)]
        body += [
            _instruction(_IF_EQUAL, value, skip_if_true=len(values) - place)
            for place, value in enumerate(values)
        ]
        body.append(_instruction(_RETURN, _FAIL | _EPERM))
    body.append(_instruction(_RETURN, _ALLOW))
    return [_instruction(_IF_EQUAL, number, skip_if_false=len(body)), *body]


def _instruction(code: int, operand: int, *, skip_if_true: int = 0, skip_if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if_true, skip_if_false, operand)


def _call(name: str, *arguments: int | bytes) -> int:
    """Call ``prctl``, or a call of Landlock by its number, as the C library has no wrapper.

    Variadic arguments are whole registers, zero without a value; ctypes would pass an int as 32 bits.
    """
    number = [_LANDLOCK[name]] if name in _LANDLOCK else []
    words = [
        each if isinstance(each, bytes) else ctypes.c_long(each) for each in (*number, *arguments, 0, 0, 0, 0)
    ]
    result: int = (_LIBC.syscall if number else _LIBC.prctl)(*words)
    if result < 0:
        raise OSError(f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
