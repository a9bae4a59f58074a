"""The tokens of one llama_decode call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import llama_cpp.llama_cpp as C
import numpy as np

MAX_BATCH_TOKENS = 512
"""Tokens of one llama_decode call."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive tokens of one sequence, evaluated in one call.

    Attributes:
        sequence: KV sequence.
        start: Position of the first token: how many the sequence holds already.
        tokens: At least one.
    """

    sequence: int
    start: int
    tokens: Sequence[int]


class Batch:
    """The arrays behind llama_batch, allocated once and filled without ctypes calls per token."""

    def __init__(self) -> None:
        size = MAX_BATCH_TOKENS
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._sequence = np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        self._counts = np.ones(size, np.int32)
        # llama_batch wants a pointer to a list of sequence ids per token; each list has one id here.
        base, stride = self._sequence.ctypes.data, self._sequence.itemsize
        self._pointers = np.arange(base, base + size * stride, stride, dtype=np.uintp)
        self.struct = C.llama_batch(
            n_tokens=0,
            token=self._token.ctypes.data_as(ctypes.POINTER(C.llama_token)),
            embd=None,
            pos=self._position.ctypes.data_as(ctypes.POINTER(C.llama_pos)),
            n_seq_id=self._counts.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
            seq_id=self._pointers.ctypes.data_as(ctypes.POINTER(ctypes.POINTER(C.llama_seq_id))),
            logits=self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    def fill(self, runs: Sequence[Run]) -> int:
        """Lay the runs out one after another; returns the number of tokens."""
        at = 0
        for run in runs:
            end = at + len(run.tokens)
            self._token[at:end] = run.tokens
            self._position[at:end] = np.arange(run.start, run.start + len(run.tokens))
            self._sequence[at:end] = run.sequence
            self._wanted[at:end] = 0
            self._wanted[end - 1] = 1
            at = end
        self.struct.n_tokens = at
        return at
