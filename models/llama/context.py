"""A context of llama.cpp: the KV cache of many sequences, and the batch that fills it.

The cache has one stream per sequence, so a branch attends only to its own cells. Branches fork through
``snapshot`` and ``restore``, which work for every architecture. Recurrent and hybrid models (Mamba-2, delta
net, short convolutions) fork only at the tip of a sequence: their running state cannot be cut back, so
``shorten`` returns False and the caller evaluates the prefix again. With a sliding window the cache keeps all
cells (``swa_full``), but a snapshot has only those of the window, which limits how far a restored sequence
can be cut back. llama.cpp splits a batch at every gap in its sequence ids, so callers keep the ids ascending
and without gaps (a step of 16 branches of the 0.5B: 123 ms without gaps, 215 with two, by hand).

llama.cpp zeroes a new cache: .3 s per gigabyte on two cores. So every sequence begins with few cells; a full
cache is copied into one of twice the size.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import llama_cpp.llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from adascale.engine.errors import (
    FETCH_AGAIN,
    DecodeAbortedError,
    DecodeError,
    ModelCorruptError,
    ModelError,
    command,
    setting,
)

from ..options import WINDOW_UNIT
from .model import AbortFlag, LlamaModel, decode_error, explain_load_failure, log_lines, trim_heap

FloatArray = NDArray[np.float32]

NO_STATE: FloatArray = np.zeros(0, np.float32)
"""Hidden state of a token in a context that keeps no states."""

MAX_BATCH_TOKENS = 512
"""Tokens of one llama_decode call."""

_SMALL_HEAD = 64
"""Largest head size, in numbers, at which the CPU is faster without flash attention."""

_FIRST_CELLS = 512
"""First cells of each sequence: enough for a question with a short solution."""

_PLAIN_WINDOW = 4096
"""Largest window, in tokens, whose attention scores are worth their memory without flash attention."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive tokens of one sequence, evaluated in one call.

    Attributes:
        sequence: KV sequence.
        start: Position of the first token, which is the present length of the sequence.
        tokens: At least one.
    """

    sequence: int
    start: int
    tokens: Sequence[int]


class Batch:
    """A ``llama_batch`` in which numpy writes the tokens."""

    def __init__(self) -> None:
        self.struct = C.llama_batch_init(MAX_BATCH_TOKENS, 0, 1)
        weakref.finalize(self, C.llama_batch_free, self.struct)
        self._token, self._position, self._has_logits, ids = (
            np.ctypeslib.as_array(array, (MAX_BATCH_TOKENS,))
            for array in (self.struct.token, self.struct.pos, self.struct.logits, self.struct.n_seq_id)
        )
        ids[:] = 1

    def fill(self, runs: Sequence[Run]) -> list[int]:
        """Write the runs one after another; returns the row of each run's last token."""
        at, last = 0, []
        for run in runs:
            end = at + len(run.tokens)
            self._token[at:end] = run.tokens
            self._position[at:end] = np.arange(run.start, run.start + len(run.tokens))
            for row in range(at, end):
                self.struct.seq_id[row][0] = run.sequence
            last.append(end - 1)
            at = end
        self._has_logits[:at] = 0
        self._has_logits[last] = 1
        self.struct.n_tokens = at
        return last


class CacheSnapshot(NamedTuple):
    """A copy of one sequence in host memory.

    Attributes:
        tokens: Number of its tokens.
        cells: Its KV cells or running states.
        logits: ``[vocab_size]`` after its last token; None if no branch will sample from them.
        hidden: ``[width]``, the hidden state behind the logits; empty if the context keeps no states.
    """

    tokens: int
    cells: NDArray[np.uint8]
    logits: FloatArray | None = None
    hidden: FloatArray = NO_STATE

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.cells.nbytes + (0 if self.logits is None else self.logits.nbytes) + self.hidden.nbytes


class LlamaContext:
    """A KV cache of ``sequences`` streams with up to ``window`` cells each.

    Memory grows with the sequences (``reserve``) and shrinks between searches (``reset``).

    Args:
        model: The model, which must outlive the context.
        window: Most tokens of one sequence, prompt included.
        sequences: Number of KV streams, 1 to 256.
        threads: CPU threads.
        abort: Flag that llama.cpp reads between graph nodes (CPU only).
        states: Also keep the final hidden states of batches in which every run is one token.
        shared: All sequences share the ``window`` cells, so that one can begin with the cells of another.

    Attributes:
        has_flash_attention: Whether it uses flash attention, which changes the cost of a step.
        evaluated_tokens: Number of tokens evaluated so far; tests check that none is evaluated twice.

    Raises:
        MemoryOverflowError: llama.cpp cannot allocate the cache.
        ModelError: the model does not generate text, or has no hidden states beside its logits.
    """

    def __init__(
        self,
        model: LlamaModel,
        window: int,
        sequences: int,
        threads: int,
        abort: AbortFlag,
        *,
        states: bool = False,
        shared: bool = False,
    ) -> None:
        self.model = model
        self.window = window
        self.sequences = sequences
        self.threads = threads
        self.states = states
        self._shared = shared
        self.has_flash_attention = _has_flash_attention(model, window)
        self.evaluated_tokens = 0
        self._abort = abort
        self._batch = Batch()
        self._stack = ExitStack()
        first, short = window if shared else _FIRST_CELLS, model.info.short_window
        if short < window:  # RoPE factors change with the cache's size: cells of a smaller one would be wrong
            first = max(first, short + WINDOW_UNIT)
        self._first_cells = min(window, first)
        self._open(self._first_cells)
        try:
            self._check_architecture()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free the cache."""
        self._stack.close()

    def reserve(self, cells: int) -> None:
        """Give every sequence at least so many cells, at most the window.

        Raises:
            MemoryOverflowError: llama.cpp cannot allocate them. The sequences stay as they are.
        """
        larger = self._cells
        while larger < min(cells, self.window):
            larger = min(2 * larger, self.window)
        if larger == self._cells:
            return
        snapshots = [self.snapshot(sequence) for sequence in range(self.sequences)]
        self._open(larger)
        for sequence, snapshot in enumerate(snapshots):
            if snapshot.tokens:
                self.restore(sequence, snapshot)

    def reset(self) -> None:
        """Empty all sequences, and free the memory that they took beyond their first cells."""
        if self._cells == self._first_cells:
            C.llama_memory_clear(self._memory, False)
        else:
            self._open(self._first_cells)
            trim_heap()

    def _open(self, cells: int) -> None:
        """Replace the context of llama.cpp by one with so many cells for each sequence."""
        log_lines.clear()
        params = C.llama_context_default_params()
        params.n_ctx = cells if self._shared else cells * self.sequences
        params.n_seq_max = self.sequences
        params.n_batch = params.n_ubatch = MAX_BATCH_TOKENS
        params.n_threads = params.n_threads_batch = self.threads
        params.flash_attn_type = int(self.has_flash_attention)  # 0 disabled, 1 enabled
        params.kv_unified = self._shared
        params.swa_full = True
        params.no_perf = True
        handle = C.llama_init_from_model(self.model.handle, params)
        if not handle:
            raise explain_load_failure(self.model.name)
        C.llama_set_abort_callback(handle, self._abort.callback, self._abort.data)
        self._stack.close()
        self._stack.callback(C.llama_free, handle)
        self.handle, self._cells = handle, cells
        self._memory = C.llama_get_memory(handle)

    def _check_architecture(self) -> None:
        """Refuse a model that generates no text, or that has hidden states only instead of logits."""
        name, architecture = self.model.name, self.model.info.architecture
        # Encoders and diffusion models have no KV cache.
        if not self._memory or C.llama_model_has_encoder(self.model.handle):
            raise ModelError(
                f'{name} has the architecture "{architecture}", which does not write text token by token',
                hint=f"use a decoder: {command('list')}",
                slug="architecture",
            )
        if not self.states:
            return
        self.decode([Run(0, 0, [0])])
        has_logits = self.logits(0).any()
        self.clear(0)
        self.evaluated_tokens = 0
        if not has_logits:
            raise ModelError(
                f"llama.cpp gives no hidden states with the logits of {name}: "
                f'its architecture is "{architecture}"',
                "a calibration and a PRM with a head need them",
                hint=f"{setting('calibration', 'none')} works without them",
                slug="architecture",
            )

    def decode(self, runs: Sequence[Run]) -> list[int]:
        """Evaluate at most ``MAX_BATCH_TOKENS`` tokens; returns the row of logits behind each run.

        Raises:
            DecodeAbortedError, DecodeError: as llama.cpp returned.
            MemoryOverflowError: as ``reserve``.
        """
        if self._abort:
            raise DecodeAbortedError("the decode was stopped")
        self.reserve(max(run.start + len(run.tokens) for run in runs))
        rows = self._batch.fill(runs)
        count = rows[-1] + 1
        if self.states:
            # With states llama.cpp computes logits for every token, which is too slow for a long run.
            C.llama_set_embeddings(self.handle, count == len(runs))
        error = decode_error(C.llama_decode(self.handle, self._batch.struct), count)
        if error is not None:
            raise error
        self.evaluated_tokens += count
        return rows

    def evaluate(self, sequence: int, start: int, tokens: Sequence[int]) -> int:
        """Append tokens to a sequence in as many batches as they need; returns the row of the last logits.

        If the context keeps hidden states, the last token is a batch of its own, which has its state.
        """
        self.reserve(start + len(tokens))
        end = len(tokens) - int(self.states)
        pieces = [tokens[at : min(at + MAX_BATCH_TOKENS, end)] for at in range(0, end, MAX_BATCH_TOKENS)]
        for piece in (*pieces, *([tokens[end:]] if self.states else [])):
            [row] = self.decode([Run(sequence, start, piece)])
            start += len(piece)
        return row

    def wait(self) -> None:
        """Wait for the last batch, which a GPU computes in the background."""
        C.llama_synchronize(self.handle)

    def logits(self, row: int) -> FloatArray:
        """``[vocab_size]`` of a row of the last batch, a view until the next decode.

        Raises:
            ModelCorruptError: some are infinite or NaN.
        """
        pointer = C.llama_get_logits_ith(self.handle, row)
        logits = np.ctypeslib.as_array(pointer, shape=(self.model.vocab_size,))
        if not np.isfinite(logits).all():
            raise ModelCorruptError(
                f"{self.model.name} computes logits that are not finite",
                "some weights are NaN, or too large for the precision of the computation",
                hint=FETCH_AGAIN,
                slug="not-finite",
            )
        return logits

    def state(self, row: int) -> FloatArray:
        """``[width]``, a view of the hidden state behind the logits of this row; empty if none are kept."""
        if not self.states:
            return NO_STATE
        pointer = C.llama_get_embeddings_ith(self.handle, row)
        return np.ctypeslib.as_array(pointer, shape=(self.model.width,))

    def snapshot(self, sequence: int, row: int | None = None) -> CacheSnapshot:
        """A copy of one sequence, with logits and hidden state if a row of the last batch is given."""
        cells = np.empty(C.llama_state_seq_get_size(self.handle, sequence), np.uint8)
        C.llama_state_seq_get_data(self.handle, _pointer(cells), len(cells), sequence)
        tokens = 1 + C.llama_memory_seq_pos_max(self._memory, sequence)
        if row is None:
            return CacheSnapshot(tokens, cells)
        return CacheSnapshot(tokens, cells, self.logits(row).copy(), self.state(row).copy())

    def restore(self, sequence: int, snapshot: CacheSnapshot) -> None:
        """Replace a sequence by a snapshot of any sequence of the context.

        Raises:
            DecodeError: the snapshot is larger than the window.
            MemoryOverflowError: as ``reserve``.
        """
        self.reserve(snapshot.tokens)
        cells = snapshot.cells
        if C.llama_state_seq_set_data(self.handle, _pointer(cells), len(cells), sequence) == 0:
            raise DecodeError("the KV cache has no room for a parked prefix")

    def shorten(self, sequence: int, length: int) -> bool:
        """Cut a sequence to its first ``length`` tokens; False if that is impossible.

        llama.cpp would cut the keys and values of a hybrid model, but not its states.
        """
        if self.model.is_recurrent:
            return False
        if window := self.model.sliding_window:
            oldest = C.llama_memory_seq_pos_min(self._memory, sequence)
            if oldest > max(0, length - window):
                return False
        return bool(C.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def branch(self, sequence: int, parent: int) -> None:
        """Let a sequence begin with the cells of another; the context must be ``shared``."""
        C.llama_memory_seq_cp(self._memory, parent, sequence, -1, -1)

    def clear(self, sequence: int) -> None:
        """Empty a sequence."""
        C.llama_memory_seq_rm(self._memory, sequence, -1, -1)


def _pointer(cells: NDArray[np.uint8]) -> ctypes._Pointer[ctypes.c_uint8]:
    return cells.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def _has_flash_attention(model: LlamaModel, window: int) -> bool:
    """False for small heads on the CPU, for which flash attention is slower.

    A step of 32 branches with and without it (two cores, by hand with ``flash_attn_type``): heads of 64
    (0.5B) 430 and 308 ms, heads of 128 (1.5B) 475 and 516 ms. Without it the attention scores of a prompt
    over the whole window are in memory at once, so the window has to be small.
    """
    is_small = model.info.head_size <= _SMALL_HEAD and window <= _PLAIN_WINDOW
    return model.gpu_layers != 0 or not is_small
