"""What the filter of system calls decides, by an interpreter of its instructions, for every machine."""

from __future__ import annotations

import struct

import pytest

from adascale.models.programs.confine import MACHINES, call_filter

ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050001, 0x00050026
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

NUMBERS = {
    "x86_64": {
        "read": 0, "openat": 257, "clone": 56, "fcntl": 72, "ioctl": 16, "prlimit64": 302, "socketpair": 53,
        "socket": 41, "execve": 59, "kill": 62, "ptrace": 101, "mount": 165, "unshare": 272, "prctl": 157,
    },
    "aarch64": {
        "read": 63, "openat": 56, "clone": 220, "fcntl": 25, "ioctl": 29, "prlimit64": 261, "socketpair": 199,
        "socket": 198, "execve": 221, "kill": 129, "ptrace": 117, "mount": 40, "unshare": 97, "prctl": 167,
    },
}  # fmt: skip
"""From the kernel's headers."""

ALLOWED = {"read", "openat"}
ON_CONDITIONS = {"clone", "fcntl", "ioctl", "prlimit64", "socketpair"}
REFUSED = set(NUMBERS["x86_64"]) - ALLOWED - ON_CONDITIONS


def decision(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would do with one system call, by classic BPF."""
    padded = [*arguments, *[0] * 6][:6]
    data = struct.pack("=IIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *padded)
    code = list(struct.iter_unpack("=HBBI", call_filter(machine)))
    assert len(code) < 4096, "the kernel takes no more"
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
