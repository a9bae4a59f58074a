"""What bounds a program, whichever interpreter runs it."""

from __future__ import annotations

from dataclasses import dataclass

KILLED = "TimeoutError: killed"
"""The error of a program that did not end in time."""


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """What one program may use.

    Attributes:
        seconds: Of running.
        memory_bytes: Of its heap.
        output_bytes: Of what it prints.
        depth: Calls inside of calls.
    """

    seconds: float = 2.0
    memory_bytes: int = 128 << 20
    output_bytes: int = 64 << 10
    depth: int = 500
