"""A decode step on an idle machine and on a busy one, by how the threads of OpenMP wait for each other.

Usage: ``python -m bench.runtime.busy MODEL [--spins 1000,10000] [--branches 8] [--steps 8] [--rounds 3]``

llama.cpp's threads meet at a barrier hundreds of times in every step. OpenMP lets the early ones spin, by
default for milliseconds; where another process wants the cores, they spin in the place of the thread that
they wait for. Each setting decodes in a process of its own, since OpenMP reads its environment once, when it
is loaded. The settings alternate, alone, beside one process a thread that spins, and beside one that decodes
with as many threads and OpenMP's default. A cell is the median of the rounds; a speed is to the default's in
the same round.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from adascale.models.machine import physical_cores

from ..common import arguments, close, model_path, table

DEPTH = 64
WINDOW = 512
KNOBS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")

Environment = Mapping[str, str]
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Load:
    """Work of a process that decodes: model, branches in a step, threads."""

    path: Path
    branches: int
    threads: int


class Decoder:
    """Decode steps without a sampler; making one loads llama.cpp, and OpenMP with it.

    Its branches all grow by one token a step, and begin again at ``DEPTH`` where the window ends.

    Args:
        path: The model.
        branches: In every step.
        threads: CPU threads.
    """

    def __init__(self, path: Path, branches: int, threads: int) -> None:
        from adascale.models.llama.context import MAX_BATCH_TOKENS, LlamaContext, Run
        from adascale.models.llama.model import AbortFlag, LlamaModel

        self._run = Run
        self._depth = min(DEPTH, MAX_BATCH_TOKENS // branches)
        self._context = LlamaContext(LlamaModel(path), WINDOW, branches, threads, AbortFlag())
        self._sequences = range(branches)
        self._length = WINDOW

    def seconds(self, steps: int) -> float:
        """Mean seconds of a step."""
        if self._length + steps > WINDOW:
            self._begin()
        started = time.perf_counter()
        for _ in range(steps):
            self._context.decode([self._run(sequence, self._length, [0]) for sequence in self._sequences])
            self._length += 1
        return (time.perf_counter() - started) / steps

    def _begin(self) -> None:
        for sequence in self._sequences:
            self._context.clear(sequence)
        self._length = self._depth
        self._context.decode([self._run(sequence, 0, [0] * self._length) for sequence in self._sequences])


def decoder_with(load: Load, environment: Environment) -> Decoder:
    """Load llama.cpp into this process, with these knobs of OpenMP and no others."""
    for name in KNOBS:
        os.environ.pop(name, None)
    os.environ.update(environment)
    return Decoder(load.path, load.branches, load.threads)


def answer_with_seconds(calls: Connection, load: Load, environment: Environment) -> None:
    """Main function of a measured process: numbers of steps come in, seconds go out."""
    measured = decoder_with(load, environment)
    calls.send(measured.seconds(1))
    while steps := calls.recv():
        calls.send(measured.seconds(steps))


def decode_for_ever(calls: Connection, load: Load) -> None:
    """Main function of the neighbour that decodes."""
    neighbour = decoder_with(load, {})
    calls.send(neighbour.seconds(1))
    while True:
        neighbour.seconds(1)


def spin_for_ever(calls: Connection) -> None:
    """Main function of a neighbour that computes and never waits."""
    calls.send(0.0)
    while True:
        pass


@dataclass(frozen=True, slots=True)
class Child:
    """A process that has answered once, and the way to it."""

    process: SpawnProcess
    calls: Connection

    def ask(self, steps: int) -> float:
        """Seconds of a step."""
        self.calls.send(steps)
        return float(self.calls.recv())


def start(stack: ExitStack, main: Callable[..., None], *args: Any) -> Child:
    """Start a process and wait until it is ready; it is killed when the stack closes."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=main, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()  # or the end of the process would not be noticed
    stack.callback(process.kill)
    ours.recv()
    return Child(process, ours)


@contextmanager
def running(neighbours: list[Child]) -> Iterator[None]:
    """Let stopped processes run for a while."""
    _signal(neighbours, signal.SIGCONT)
    yield
    _signal(neighbours, signal.SIGSTOP)


def _signal(children: list[Child], number: int) -> None:
    for child in children:
        assert child.process.pid is not None, "it was started"
        os.kill(child.process.pid, number)


def neighbourhoods(stack: ExitStack, load: Load) -> dict[str, list[Child]]:
    """Processes that run during a measurement; all are stopped."""
    found: dict[str, list[Child]] = {"idle": []}
    for name, main, args, count in (
        ("spinning", spin_for_ever, (), load.threads),
        ("decoding", decode_for_ever, (load,), 1),
    ):
        found[name] = [start(stack, main, *args) for _ in range(count)]
        _signal(found[name], signal.SIGSTOP)
    return found


def settings(spins: str) -> dict[str, Environment]:
    """Settings to compare, by name."""
    return {
        "default": {},
        "passive": {"OMP_WAIT_POLICY": "passive"},
        **{f"spin {count}": {"GOMP_SPINCOUNT": count} for count in spins.split(",")},
    }


Seconds = dict[str, dict[str, list[float]]]
"""By setting, then by neighbourhood: mean seconds of a step in each round."""


def measure(load: Load, chosen: dict[str, Environment], steps: int, rounds: int) -> Seconds:
    """Time all settings in all neighbourhoods, alternating."""
    with ExitStack() as stack:
        children = {name: start(stack, answer_with_seconds, load, env) for name, env in chosen.items()}
        beside = neighbourhoods(stack, load)
        found: Seconds = {name: {where: [] for where in beside} for name in chosen}
        for _ in range(rounds):
            for where, neighbours in beside.items():
                for name, child in children.items():
                    child.ask(1)
                    with running(neighbours):
                        found[name][where].append(child.ask(steps))
    return found


def speed(times: list[float], default: list[float]) -> float:
    """Speed relative to the default, as the median of the rounds."""
    return round(statistics.median(d / t for t, d in zip(times, default, strict=True)), 3)


def main() -> None:
    args = arguments(
        __doc__, "model", spins="1000,10000", branches=8, steps=8, rounds=3, threads=physical_cores()
    )
    load = Load(model_path(args.model), args.branches, args.threads)
    found = measure(load, settings(args.spins), args.steps, args.rounds)
    default = found["default"]
    milliseconds = {
        name: {where: round(1000 * statistics.median(times), 1) for where, times in row.items()}
        for name, row in found.items()
    }
    speeds = {
        name: {where: speed(times, default[where]) for where, times in row.items()}
        for name, row in found.items()
    }
    header = ["", *(f"{where} ms" for where in default), *(f"{where} x" for where in default)]
    rows = [
        [
            name,
            *(f"{ms:.1f}" for ms in milliseconds[name].values()),
            *(f"{s:.2f}" for s in speeds[name].values()),
        ]
        for name in found
    ]
    table(header, rows)
    close(
        {
            "ms": milliseconds,
            "speed": speeds,
            "model": args.model,
            "branches": args.branches,
            "threads": args.threads,
        }
    )


if __name__ == "__main__":
    main()
