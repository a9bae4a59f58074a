"""Decode steps of the runtime without a sampler; importing this loads llama.cpp, and OpenMP with it."""

from __future__ import annotations

import time
from pathlib import Path

from adascale.models.llama.context import MAX_BATCH_TOKENS, LlamaContext, Run
from adascale.models.llama.model import AbortFlag, LlamaModel

DEPTH = 64
WINDOW = 512


class Decoder:
    """Branches that all grow by one token a step; they begin again at ``DEPTH`` where the window ends.

    Args:
        path: The model.
        branches: In every step.
        threads: CPU threads.
    """

    def __init__(self, path: Path, branches: int, threads: int) -> None:
        self._context = LlamaContext(LlamaModel(path), WINDOW, branches, threads, AbortFlag())
        self._sequences = range(branches)
        self._length = WINDOW

    def seconds(self, steps: int) -> float:
        """Mean seconds of a step."""
        if self._length + steps > WINDOW:
            self._begin()
        started = time.perf_counter()
        for _ in range(steps):
            self._context.decode([Run(sequence, self._length, [0]) for sequence in self._sequences])
            self._length += 1
        return (time.perf_counter() - started) / steps

    def _begin(self) -> None:
        for sequence in self._sequences:
            self._context.clear(sequence)
        self._length = min(DEPTH, MAX_BATCH_TOKENS // len(self._sequences))
        self._context.decode([Run(sequence, 0, [0] * self._length) for sequence in self._sequences])
