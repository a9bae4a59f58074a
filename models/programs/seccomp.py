"""A filter for Linux: system calls that a single process of CPython needs are allowed, all others fail.

No new process or program, no connection, no signal, no change of rights, owners, times, priorities or mounts:
what is not in the table cannot be called. The filter is classic BPF (linux/filter.h, linux/seccomp.h).
"""

from __future__ import annotations

import struct

_CALLS = """
read 0 63, write 1 64, close 3 57, lseek 8 62, pread64 17 67, pwrite64 18 68, readv 19 65, writev 20 66,
open 2 -, creat 85 -, openat 257 56, stat 4 -, lstat 6 -, fstat 5 80, newfstatat 262 79, statx 332 291,
access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -, readlinkat 267 78, statfs 137 43,
fstatfs 138 44, getdents64 217 61, getcwd 79 17, chdir 80 49, fchdir 81 50, umask 95 166, flock 73 32,
fsync 74 82, fdatasync 75 83, ftruncate 77 46, fallocate 285 47, fadvise64 221 223, sendfile 40 71,
copy_file_range 326 285, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -,
renameat 264 38, renameat2 316 276, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, dup 32 23,
dup2 33 -, dup3 292 24, pipe 22 -, pipe2 293 59, eventfd2 290 19, ioctl 16 29, fcntl 72 25, poll 7 -,
ppoll 271 73, select 23 -, pselect6 270 72, epoll_create1 291 20, epoll_ctl 233 21, epoll_wait 232 -,
epoll_pwait 281 22, socketpair 53 199, sendto 44 206, recvfrom 45 207, mmap 9 222, munmap 11 215,
mprotect 10 226, mremap 25 216, madvise 28 233, msync 26 227, brk 12 214, rt_sigaction 13 134,
rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigtimedwait 128 137, rt_sigpending 127 136,
rt_sigsuspend 130 133, sigaltstack 131 132, pause 34 -, restart_syscall 219 128, clone 56 220,
set_tid_address 218 96, set_robust_list 273 99, rseq 334 293, futex 202 98, arch_prctl 158 -,
sched_yield 24 124, sched_getaffinity 204 123, getcpu 309 168, exit 60 93, exit_group 231 94, getpid 39 172,
getppid 110 173, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177,
getgroups 115 158, getpgrp 111 -, getpgid 121 155, getsid 124 156, getresuid 118 148, getresgid 120 150,
getrlimit 97 163, prlimit64 302 261, getrusage 98 165, uname 63 160, sysinfo 99 179, times 100 153,
getrandom 318 278, time 201 -, gettimeofday 96 169, clock_gettime 228 113, clock_getres 229 114,
clock_nanosleep 230 115, nanosleep 35 101, alarm 37 -, setitimer 38 103, getitimer 36 102
"""
"""Name, number on x86_64, number on aarch64; a dash where a machine does not have the call."""

_CLONE_THREAD = 0x10000
_CLONE_NAMESPACES = 0x7E020000

_ARGUMENTS: dict[str, tuple[tuple[int, int, tuple[int, ...]], ...]] = {
    "clone": ((0, _CLONE_THREAD | _CLONE_NAMESPACES, (_CLONE_THREAD,)),),
    # F_DUPFD to F_SETLKW and F_DUPFD_CLOEXEC: no F_SETOWN, which would let the kernel signal another process.
    "fcntl": ((2, 0xFFFFFFFF, (*range(8), 1030)),),
    # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    "ioctl": ((2, 0xFFFFFFFF, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),),
    # No new limits: the pointer to them is null.
    "prlimit64": ((4, 0xFFFFFFFF, (0,)), (5, 0xFFFFFFFF, (0,))),
    # SOCK_STREAM, as event loops have: a datagram socket could send to any address.
    "socketpair": ((2, 0xF, (1,)),),
}
"""Half words of the arguments (two each, the low one first) that a call must have: index, mask, values."""

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the table, and AUDIT_ARCH of linux/audit.h."""

_COMMON_NUMBERS = 424
"""From here on calls have one number on all machines, and C libraries do without those a kernel lacks."""

# linux/bpf_common.h: load a word, mask it, compare, return.
_LOAD, _AND, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_KILL, _ALLOW, _FAIL = 0x80000000, 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38

MACHINES = tuple(_ARCHITECTURES)
"""As ``platform.machine()`` names them."""


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
        name, *numbers = entry.split()
        if numbers[column] != "-":
            code += _allowed(int(numbers[column]), name)
    code += [
        _instruction(_IF_AT_LEAST, _COMMON_NUMBERS, skip_if_false=1),
        _instruction(_RETURN, _FAIL | _ENOSYS),
        _instruction(_RETURN, _FAIL | _EPERM),
    ]
    return b"".join(code)


def _allowed(number: int, name: str) -> list[bytes]:
    """Allow a call if its arguments are as they must be."""
    body: list[bytes] = []
    for index, mask, values in _ARGUMENTS.get(name, ()):
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
