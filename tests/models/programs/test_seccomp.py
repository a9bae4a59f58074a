"""What the filter of system calls decides, by an interpreter of its instructions, for every machine."""

from __future__ import annotations

import platform
import struct

import pytest

from adascale.models.programs.seccomp import MACHINES, call_filter

ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050001, 0x00050026
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

NUMBERS = {
    "x86_64": {
        "read": 0, "openat": 257, "mmap": 9, "clone": 56, "fcntl": 72, "ioctl": 16, "prlimit64": 302,
        "socketpair": 53, "socket": 41, "connect": 42, "execve": 59, "kill": 62, "tgkill": 234, "ptrace": 101,
        "mount": 165, "unshare": 272, "setns": 308, "bpf": 321, "prctl": 157, "fchmodat": 268, "truncate": 76,
    },
    "aarch64": {
        "read": 63, "openat": 56, "mmap": 222, "clone": 220, "fcntl": 25, "ioctl": 29, "prlimit64": 261,
        "socketpair": 199, "socket": 198, "connect": 203, "execve": 221, "kill": 129, "tgkill": 131,
        "ptrace": 117, "mount": 40, "unshare": 97, "setns": 268, "bpf": 280, "prctl": 167, "fchmodat": 53,
        "truncate": 45,
    },
}  # fmt: skip
"""From the kernel's headers."""

ALLOWED = {"read", "openat", "mmap"}
ON_CONDITIONS = {"clone", "fcntl", "ioctl", "prlimit64", "socketpair"}
REFUSED = set(NUMBERS["x86_64"]) - ALLOWED - ON_CONDITIONS


def decision(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would do with one system call, by classic BPF."""
    padded = [*arguments, *[0] * 6][:6]
    data = struct.pack("=IIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *padded)
    code = list(struct.iter_unpack("=HBBI", call_filter(machine)))
    place = accumulator = 0
    while True:
        operation, skip_if_true, skip_if_false, operand = code[place]
        place += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                place += skip_if_true if accumulator == operand else skip_if_false
            case 0x35:
                place += skip_if_true if accumulator >= operand else skip_if_false
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(operation)


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_are_allowed_by_their_arguments(machine: str) -> None:
    numbers = NUMBERS[machine]

    def decide(name: str, *arguments: int) -> int:
        return decision(machine, numbers[name], *arguments)

    assert {name: decide(name) for name in ALLOWED} == dict.fromkeys(ALLOWED, ALLOW)
    assert {name: decide(name) for name in REFUSED} == dict.fromkeys(REFUSED, EPERM)
    assert decide("clone", 0x3D0F00) == ALLOW  # a thread
    assert decide("clone", 17) == EPERM  # a process
    assert decide("clone", 0x3D0F00 | 0x40000000) == EPERM  # a network namespace
    assert decide("fcntl", 5, 1) == decide("fcntl", 5, 1030, 1 << 40) == ALLOW
    assert decide("fcntl", 5, 8) == decide("fcntl", 5, 10) == decide("fcntl", 5, 1 << 32 | 8) == EPERM
    assert decide("ioctl", 1, 0x5401) == ALLOW
    assert decide("ioctl", 1, 0x5412) == EPERM  # TIOCSTI types into the terminal
    assert decide("prlimit64", 0, 7, 0, 1 << 40) == ALLOW
    assert decide("prlimit64", 0, 7, 1) == decide("prlimit64", 0, 7, 1 << 40) == EPERM
    assert decide("socketpair", 1, 0x80801) == ALLOW
    assert decide("socketpair", 1, 0x80802) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_other_tables_of_numbers_are_refused(machine: str) -> None:
    assert decision(machine, NUMBERS[machine]["read"], architecture=0x40000003) == KILL
    assert decision(machine, 435) == ENOSYS  # clone3: the C library then calls clone
    assert decision(machine, 0x40000000) == ENOSYS  # x32


def test_a_machine_without_a_table_has_no_filter() -> None:
    assert "riscv64" not in MACHINES
    with pytest.raises(KeyError):
        call_filter("riscv64")


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="no filter for this machine")
def test_it_fits_into_what_the_kernel_takes() -> None:
    assert len(call_filter(platform.machine())) % 8 == 0
    assert len(call_filter(platform.machine())) // 8 < 4096
