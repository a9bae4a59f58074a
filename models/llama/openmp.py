"""How the threads of llama.cpp wait for each other, on a machine that has other work too.

They meet at a barrier hundreds of times in every decode step. GNU's OpenMP lets the early ones spin for
300,000 turns, which is milliseconds, before they sleep; where another process wants the cores, they take the
core that the thread they wait for needs. After 10,000 turns few have to be woken on an idle machine. A step
of 8 branches of the 0.5B on two cores (bench/runtime/busy.py, 2026-11-27, medians of five rounds): idle 118
ms by default and 120 with 10,000 turns; beside a second process of two threads 748 and 426, beside one that
spins 960 and 432. 1,000 turns and ``OMP_WAIT_POLICY=passive`` are faster there (273 and 272, 319 and 308),
but take 124 and 144 ms on the idle machine.
"""

from __future__ import annotations

from collections.abc import MutableMapping

_SPIN_COUNT = "GOMP_SPINCOUNT"
_KNOBS = (_SPIN_COUNT, "OMP_WAIT_POLICY")
_TURNS = 10_000


def limit_spinning(environment: MutableMapping[str, str]) -> None:
    """Let waiting threads sleep soon, unless the environment already says how they wait.

    OpenMP reads the environment once, when the library that uses it is loaded.
    """
    if not any(knob in environment for knob in _KNOBS):
        environment[_SPIN_COUNT] = str(_TURNS)
