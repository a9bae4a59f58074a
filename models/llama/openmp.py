"""How the threads of llama.cpp wait for each other, on a machine that has other work too.

They meet at a barrier hundreds of times in every decode step. GNU's OpenMP lets the early ones spin for
300,000 turns, which is milliseconds, before they sleep; where another process wants the cores, they spin in
the place of the very thread that they wait for. After 1,000 turns, some ten microseconds, few have to be
woken on an idle machine. A step of 8 branches of the 1.5B on two cores (bench/runtime/busy.py): idle 268 to
300 ms by default and 246 to 321 with 1,000 turns; beside a second process with two threads 953 to 1,214 and
470 to 560.
"""

from __future__ import annotations

from collections.abc import MutableMapping

_SPIN_COUNT = "GOMP_SPINCOUNT"
_KNOBS = (_SPIN_COUNT, "OMP_WAIT_POLICY")
_TURNS = 1000


def limit_spinning(environment: MutableMapping[str, str]) -> None:
    """Let waiting threads sleep soon, unless the environment already says how they wait.

    OpenMP reads the environment once, when the library that uses it is loaded.
    """
    if not any(knob in environment for knob in _KNOBS):
        environment[_SPIN_COUNT] = str(_TURNS)
