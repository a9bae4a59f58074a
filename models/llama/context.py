"""A context of llama.cpp: the KV cache of many sequences, and the batch that fills it.

Layout of the KV cache: one stream per sequence, so that a branch attends to its own cells only; forks go
through ``snapshot`` and ``restore``, which work for every architecture. One with running states (recurrent or
hybrid: Mamba-2, delta net, short convolutions) forks at the tip of a sequence alone, since a state cannot be
cut back: ``shorten`` says so, and what stood before is evaluated again. With a sliding window all cells are
kept (``swa_full``), but a snapshot has those of the window alone: what was restored from one is cut back only
as far as they reach. With streams llama.cpp cuts a batch at every gap in its sequence ids, so callers keep
them ascending and without gaps (a step of 16 branches of the 0.5B: 123 ms without gaps, 215 with two, by
hand).

llama.cpp zeroes all of a cache when it makes one: .3 s for each gigabyte, on two cores. So every sequence has
few cells at first, and a cache with twice as many takes the place of one that is full, with a copy of what
it holds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import llama_cpp.llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from adascale.engine.errors import (
    FETCH_AGAIN,
    DecodeAbortedError,
    DecodeError,
    MemoryOverflowError,
    ModelCorruptError,
    ModelError,
    command,
    gigabytes,
    setting,
)

from .. import machine
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
"""Cells of each sequence until one needs more: a question with a short solution."""

_PLAIN_WINDOW = 4096
"""Largest window, in tokens, whose attention scores are worth their memory without flash attention."""


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


class BatchArrays:
    """The arrays behind llama_batch, allocated once and filled without ctypes calls per token."""

    def __init__(self) -> None:
        rows = np.zeros((3, MAX_BATCH_TOKENS), np.int32)
        self._token, self._position, self._sequence = rows
        self._wanted = np.zeros(MAX_BATCH_TOKENS, np.int8)
        # llama_batch wants a pointer to a list of sequence ids per token; each list has one id here.
        pointers = np.arange(MAX_BATCH_TOKENS, dtype=np.uintp) * rows.itemsize + self._sequence.ctypes.data
        self._arrays: dict[str, NDArray[Any]] = {
            "token": self._token,
            "pos": self._position,
            "n_seq_id": np.ones(MAX_BATCH_TOKENS, np.int32),
            "seq_id": pointers,
            "logits": self._wanted,
        }
        kinds = dict(C.llama_batch._fields_)
        self.struct = C.llama_batch(
            **{name: array.ctypes.data_as(kinds[name]) for name, array in self._arrays.items()}
        )

    def fill(self, runs: Sequence[Run]) -> list[int]:
        """Lay the runs out one after another; returns the row of the last token of each."""
        at, last = 0, []
        for run in runs:
            end = at + len(run.tokens)
            self._token[at:end] = run.tokens
            self._position[at:end] = np.arange(run.start, run.start + len(run.tokens))
            self._sequence[at:end] = run.sequence
            last.append(end - 1)
            at = end
        self._wanted[:at] = 0
        self._wanted[last] = 1
        self.struct.n_tokens = at
        return last


class CacheSnapshot(NamedTuple):
    """A copy of one sequence in host memory, out of the KV cache.

    Attributes:
        tokens: Number of its tokens.
        cells: Its KV cells or running states.
        logits: ``[vocab_size]`` after its last token; None if no branch samples its first token from them.
        hidden: ``[width]``, the hidden state that gave the logits; empty if the context keeps no states.
    """

    tokens: int
    cells: NDArray[np.uint8]
    logits: FloatArray | None = None
    hidden: FloatArray = NO_STATE

    @property
    def nbytes(self) -> int:
        """Host memory of its arrays."""
        return self.cells.nbytes + (0 if self.logits is None else self.logits.nbytes) + self.hidden.nbytes


class LlamaContext:
    """A KV cache of ``sequences`` streams with up to ``window`` cells each, and the batch that fills it.

    It takes memory as sequences grow (``reserve``), and gives it back (``reset``).

    Args:
        model: Stays open for as long as the context.
        window: Tokens of one sequence at most, prompt included.
        sequences: Number of KV streams, 1 to 256.
        threads: CPU threads.
        abort: Read by llama.cpp between graph nodes (CPU only).
        states: Also keep the final hidden states of batches in which every run is one token.
        shared: All sequences share the ``window`` cells, so that one may begin with the cells of another.

    Attributes:
        has_flash_attention: Attention by flash attention, which changes the cost of a step.
        evaluated_tokens: Tokens of all its decodes so far, by which tests see that none is evaluated twice.

    Raises:
        MemoryOverflowError: the cache could not be allocated.
        ModelError: llama.cpp does not write text with this architecture, or cannot keep states with logits.
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
        self._batch = BatchArrays()
        self._stack = ExitStack()
        first, short = window if shared else _FIRST_CELLS, model.info.short_window
        if short < window:  # the angles change there, and what a smaller cache held would keep its own
            first = max(first, short + WINDOW_UNIT)
        self._least = min(window, first)
        self._open(self._least)
        try:
            self._check_architecture()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free the cache."""
        self._stack.close()

    def reserve(self, cells: int) -> None:
        """Have room for so many tokens in each sequence, as far as the window goes.

        Raises:
            MemoryOverflowError: there is no memory for them. The sequences stay as they are.
        """
        larger = self._cells
        while larger < min(cells, self.window):
            larger = min(2 * larger, self.window)
        if larger == self._cells:
            return
        info = self.model.info
        needed = self.sequences * (larger * info.kv_bytes_per_token + info.state_bytes)
        # The system would promise more than there is, and then end the process for it.
        if not self.model.gpu_layers and needed > machine.free_memory_bytes():
            raise MemoryOverflowError(
                f"{self.sequences} x {larger:,} tokens of {self.model.name} "
                f"need {gigabytes(needed)} GB, which are not free",
                hint=f"a smaller {setting('ctx_size')} or fewer {setting('samples')} need less",
            )
        held = {each: self.snapshot(each) for each in range(self.sequences)}
        self._open(larger)
        for sequence, snapshot in held.items():
            if snapshot.tokens:
                self.restore(sequence, snapshot)

    def reset(self) -> None:
        """Empty all sequences, and give back the memory that they took beyond that of the beginning."""
        if self._cells == self._least:
            C.llama_memory_clear(self._memory, False)
        else:
            self._open(self._least)
            trim_heap()

    def _open(self, cells: int) -> None:
        """Make a context of llama.cpp with so many cells for each sequence; the one before is freed."""
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
        """Refuse a model that does not write, and states that llama.cpp gives in the place of logits."""
        name, architecture = self.model.name, self.model.info.architecture
        # Encoders and diffusion models have no memory of what was evaluated.
        if not self._memory or C.llama_model_has_encoder(self.model.handle):
            raise ModelError(
                f'{name} has the architecture "{architecture}", which does not write text token by token',
                hint=f"take a decoder: {command('list')}",
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
                "a calibration and a PRM with a head read them while the model writes",
                hint=f"without a calibration it can be asked: {setting('calibration', 'none')}",
                slug="architecture",
            )

    def decode(self, runs: Sequence[Run]) -> list[int]:
        """Evaluate at most ``MAX_BATCH_TOKENS`` tokens; returns the row of each run's last, which has logits.

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
            # With states on, llama.cpp computes logits for every token: not worth it inside a long run.
            C.llama_set_embeddings(self.handle, count == len(runs))
        error = decode_error(C.llama_decode(self.handle, self._batch.struct), count)
        if error is not None:
            raise error
        self.evaluated_tokens += count
        return rows

    def wait(self) -> None:
        """Wait until the last batch is computed, which a GPU does in the background."""
        C.llama_synchronize(self.handle)

    def logits(self, row: int) -> FloatArray:
        """``[vocab_size]``, a view until the next decode; ``row`` is the index in the last batch.

        Raises:
            ModelCorruptError: some are infinite or no numbers.
        """
        pointer = C.llama_get_logits_ith(self.handle, row)
        found = np.ctypeslib.as_array(pointer, shape=(self.model.vocab_size,))
        if not np.isfinite(found).all():
            raise ModelCorruptError(
                f"{self.model.name} computes logits that are not finite",
                "weights in it are no numbers, or are too large for the precision in which it is computed",
                hint=FETCH_AGAIN,
                slug="not-finite",
            )
        return found

    def state(self, row: int) -> FloatArray:
        """``[width]``, a view of the hidden state that gave the logits of this row; empty if not kept."""
        if not self.states:
            return NO_STATE
        pointer = C.llama_get_embeddings_ith(self.handle, row)
        return np.ctypeslib.as_array(pointer, shape=(self.model.width,))

    def snapshot(self, sequence: int, row: int | None = None) -> CacheSnapshot:
        """A copy of one sequence, with logits and hidden state of a row of the last batch if one is named."""
        cells = np.empty(C.llama_state_seq_get_size(self.handle, sequence), np.uint8)
        C.llama_state_seq_get_data(self.handle, _pointer(cells), len(cells), sequence)
        tokens = 1 + C.llama_memory_seq_pos_max(self._memory, sequence)
        if row is None:
            return CacheSnapshot(tokens, cells)
        return CacheSnapshot(tokens, cells, self.logits(row).copy(), self.state(row).copy())

    def restore(self, sequence: int, snapshot: CacheSnapshot) -> None:
        """Replace a sequence by a snapshot, of this or any other sequence of the context.

        Raises:
            DecodeError: the sequence's window is smaller than the snapshot.
            MemoryOverflowError: as ``reserve``.
        """
        self.reserve(snapshot.tokens)
        cells = snapshot.cells
        if C.llama_state_seq_set_data(self.handle, _pointer(cells), len(cells), sequence) == 0:
            raise DecodeError("the KV cache has no room for a parked prefix")

    def shorten(self, sequence: int, length: int) -> bool:
        """Forget all but the first ``length`` tokens of a sequence; False if it cannot be cut there.

        Of a hybrid model llama.cpp would cut the keys and values, but not the states, so it is not asked.
        """
        if self.model.is_recurrent:
            return False
        if window := self.model.sliding_window:
            oldest = C.llama_memory_seq_pos_min(self._memory, sequence)
            if oldest > max(0, length - window):
                return False
        return bool(C.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def branch(self, sequence: int, parent: int) -> None:
        """Let a sequence begin with the cells of another, where all share them."""
        C.llama_memory_seq_cp(self._memory, parent, sequence, -1, -1)

    def clear(self, sequence: int) -> None:
        """Empty a sequence."""
        C.llama_memory_seq_rm(self._memory, sequence, -1, -1)


def _pointer(cells: NDArray[np.uint8]) -> ctypes._Pointer[ctypes.c_uint8]:
    return cells.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def _has_flash_attention(model: LlamaModel, window: int) -> bool:
    """True except with small heads on the CPU, for which flash attention costs more than it saves.

    Flash attention walks over every cell of every head one by one. A step of 32 branches with it and without
    (two cores, by hand with ``flash_attn_type`` on and off, no bench does it): heads of 64 (0.5B) 430 and
    308 ms, heads of 128 (1.5B) 475 and 516 ms. Without it a prompt's scores over the whole window are in
    memory at once, so the window has to be small.
    """
    small = model.info.head_size <= _SMALL_HEAD and window <= _PLAIN_WINDOW
    return model.gpu_layers != 0 or not small
