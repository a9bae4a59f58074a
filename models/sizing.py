"""The size of a session, planned before anything is loaded: the window of a trajectory, and the memory.

The window holds the question, the answer, and a thought between them. Weights, contexts
and compute buffers must fit into the free memory; if not, the error names a setting that fits. A context
takes its share as solutions run and grow long, and gives it back behind them: the plan is the bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from adascale.engine.errors import MemoryOverflowError, UsageError, command, gigabytes, setting
from adascale.engine.strategies import Adaptive

from . import machine
from .files.gguf import GGUFInfo
from .files.library import ModelFile
from .llama.thinking import room_for_thoughts
from .options import LONG_CONTEXT_WINDOW, WINDOW, WINDOW_UNIT, SessionOptions, prm_window, round_window_up

_WITHOUT_THOUGHT = 512
"""Tokens of a short question, of the end of a thought, and of an answer."""


# llama.cpp's compute buffers appear with the load; this bound is safe for small models.
_BUFFER_SHARE = 0.1
_BUFFER_MIN = 200 * 10**6


@dataclass(frozen=True, slots=True)
class SessionLoad:
    """The models and contexts that a session may have in memory.

    Attributes:
        generator: Header of the generator.
        window: Tokens of one trajectory, prompt included.
        branches: Branches that are in the generator's KV cache at once, at most.
        prm: Header of the PRM; the generator's own if it judges itself, so that its weights count once.
        smallest: Tokens of the smallest window for a short question, a thought and an answer.
    """

    generator: GGUFInfo
    window: int
    branches: int
    prm: GGUFInfo | None = None
    smallest: int = _WITHOUT_THOUGHT

    @property
    def weights(self) -> list[tuple[str, int]]:
        """Role and bytes of each model, mapped into memory whole."""
        parts = [("generator", self.generator.size_bytes)]
        if self.prm not in (None, self.generator):  # one that judges itself is there once
            parts.append(("PRM", self.prm.size_bytes))
        return parts

    @property
    def contexts(self) -> list[tuple[GGUFInfo, int, int]]:
        """Header, tokens of a sequence, and sequences of each context: the generator's and the PRM's."""
        parts = [(self.generator, self.window, self.branches)]
        if self.prm is not None:
            parts.append((self.prm, prm_window(self.prm, self.window), 1))
        return parts

    @property
    def context_bytes(self) -> int:
        """KV caches of all sequences of all models, 16-bit values, and their running states."""
        return sum(
            (info.kv_bytes_per_token * window + info.state_bytes) * sequences
            for info, window, sequences in self.contexts
        )

    @property
    def buffer_bytes(self) -> int:
        """Estimate for compute buffers."""
        return sum(_buffer_bytes(info.size_bytes) for info, _, _ in self.contexts)

    @property
    def total_bytes(self) -> int:
        """Weights, contexts and buffers together."""
        return sum(size for _, size in self.weights) + self.context_bytes + self.buffer_bytes


def plan_load(options: SessionOptions, file: ModelFile, prm: ModelFile | None, available: int) -> SessionLoad:
    """Choose the window and the branches of a session, once, by its purpose and the free memory.

    The window is ``ctx_size``, or ``WINDOW`` plus the thought, up to the length that the model was trained
    for. A conversation gets ``LONG_CONTEXT_WINDOW`` or half of it, plus the thought, if half of the memory
    stays free; a long window comes before the branches, of which half or a quarter may remain.

    Args:
        options: Options of the session.
        file: The generator.
        prm: The PRM; the same file if the generator judges itself.
        available: Bytes of memory that are free.

    Raises:
        UsageError: more than the model was trained for is asked for, or a thought leaves no room in it.
        MemoryOverflowError: the models do not fit.
    """
    thought = room_for_thoughts(options.think, file.info.chat_template)
    usual, smallest = WINDOW + thought, _WITHOUT_THOUGHT + thought
    allowed = file.info.context_length or LONG_CONTEXT_WINDOW + thought
    size = options.ctx_size or min(usual, allowed)
    if size > allowed:
        raise UsageError(
            f"{setting('ctx_size', size)} is more than {file.name} was trained for ({allowed:,})",
            hint=setting("ctx_size", allowed),
        )
    if thought and smallest > size:
        least, room = round_window_up(smallest), max(0, size - _WITHOUT_THOUGHT)
        raise UsageError(
            f"a thought of {thought:,} tokens leaves no room for an answer in a window of {size:,}",
            hint=setting("ctx_size", least) if least <= allowed else setting("think", room),
            slug="think-budget",
        )
    judge = None if prm is None else prm.info
    load = SessionLoad(file.info, round_window_up(size), options.branches, judge, smallest)
    if options.purpose == "conversation" and options.ctx_size is None and allowed > usual:
        for window, share in product((LONG_CONTEXT_WINDOW, LONG_CONTEXT_WINDOW // 2), (1, 2, 4)):
            tokens, branches = round_window_up(min(window + thought, allowed)), options.branches // share
            larger = replace(load, window=tokens, branches=max(1, branches))
            if 2 * larger.total_bytes <= available:
                return larger
    if not options.force:
        check_memory(load, available)
    return load


def usual_bytes(size_bytes: int | None, kv_bytes_per_token: int | None, state_bytes: int) -> int | None:
    """Memory of one generator with the default window and samples; None if a figure is unknown.

    Args:
        size_bytes: Size of its file, or of all parts.
        kv_bytes_per_token: Keys and values of a token; a header without sizes has 0 without running
            states.
        state_bytes: Running states of one sequence.
    """
    if size_bytes is None or kv_bytes_per_token is None or not (kv_bytes_per_token or state_bytes):
        return None
    context = (kv_bytes_per_token * WINDOW + state_bytes) * Adaptive().branches
    return size_bytes + context + _buffer_bytes(size_bytes)


def _buffer_bytes(size_bytes: int) -> int:
    return max(_BUFFER_MIN, int(size_bytes * _BUFFER_SHARE))


def check_memory(load: SessionLoad, available: int) -> None:
    """Refuse a load that needs more bytes than are available.

    Raises:
        MemoryOverflowError: it does not fit; the hint names a setting that does, if there is one.
    """
    if load.total_bytes <= available:
        return
    limit = machine.memory_limit_bytes()
    inside = f" (container limit {gigabytes(limit)} GB)" if limit is not None else ""
    contexts = " and ".join(f"{window:,} x {sequences}" for _, window, sequences in load.contexts)
    sizes = [*load.weights, (f"context {contexts}:", load.context_bytes), ("buffers", load.buffer_bytes)]
    parts = (f"{name} {gigabytes(size)} GB" for name, size in sizes)
    advice, window = f"a smaller model: {command('list')}", load.window
    while (window := window // 2 // WINDOW_UNIT * WINDOW_UNIT) >= load.smallest:
        smaller = replace(load, window=window)
        if smaller.total_bytes <= available:
            advice = f"{setting('ctx_size', window)} needs {gigabytes(smaller.total_bytes)} GB"
            break
    raise MemoryOverflowError(
        f"{gigabytes(load.total_bytes)} GB are needed, {gigabytes(available)} GB are free{inside}",
        " + ".join(parts),
        hint=f"{advice}; {setting('force', True)} tries anyway",
    )
