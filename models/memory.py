"""Will it fit? Weights, context and buffers against the free memory, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from adascale.engine.decimals import gigabytes
from adascale.engine.errors import MemoryOverflowError, command, setting
from adascale.engine.strategies import Adaptive

from . import machine
from .files.gguf.info import GGUFInfo
from .options import WINDOW

# Above this share of the free memory a plan is tight: it works, but the system may begin to swap.
_TIGHT = 0.9

# llama.cpp's compute buffers are not known before a load; this is on the safe side for small models.
_BUFFER_SHARE = 0.1
_BUFFER_MIN = 200 * 10**6

_SMALLEST_CONTEXT = 512


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """A model that will be in memory.

    Attributes:
        role: Its name in messages, such as "generator".
        info: Its header; two loads with the same one share the weights.
        window: Tokens of one sequence.
        sequences: How many of them its KV cache holds.
    """

    role: str
    info: GGUFInfo
    window: int
    sequences: int

    @property
    def context_bytes(self) -> int:
        """Keys and values of whole windows, and running states."""
        per_token, states = self.info.kv_bytes_per_token(), self.info.state_bytes
        return _context_bytes(per_token, states, self.window, self.sequences)


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Memory that a set of models will take.

    Attributes:
        weights: (role, bytes) of each model, mapped into memory whole.
        context_bytes: KV caches of all sequences of all models, 16-bit values, and their running states.
        buffer_bytes: Estimate for compute buffers.
        available_bytes: Memory that was free when the plan was made.
    """

    weights: tuple[tuple[str, int], ...]
    context_bytes: int
    buffer_bytes: int
    available_bytes: int

    @property
    def total_bytes(self) -> int:
        """Everything together."""
        return sum(size for _, size in self.weights) + self.context_bytes + self.buffer_bytes

    @property
    def verdict(self) -> Literal["fits", "tight", "too-big"]:
        """``tight`` is over 90 % of what is free."""
        if self.total_bytes > self.available_bytes:
            return "too-big"
        return "tight" if self.total_bytes > _TIGHT * self.available_bytes else "fits"


def usual_bytes(size_bytes: int | None, kv_bytes_per_token: int | None, state_bytes: int) -> int | None:
    """What one generator takes with the default window and samples; None where a figure is unknown.

    Args:
        size_bytes: Of its file, or of all parts.
        kv_bytes_per_token: In the KV cache; a header that does not say has 0 without running states.
        state_bytes: Running states of one sequence.
    """
    if size_bytes is None or kv_bytes_per_token is None or not (kv_bytes_per_token or state_bytes):
        return None
    context = _context_bytes(kv_bytes_per_token, state_bytes, WINDOW, Adaptive().branches)
    return size_bytes + context + _buffer_bytes(size_bytes)


def plan_memory(
    loads: Sequence[ModelLoad], *, available: int | None = None, force: bool = False, thought: int = 0
) -> MemoryPlan:
    """Add up what ``loads`` need.

    Args:
        loads: The models that will be in memory at the same time.
        available: Bytes that may be used; the machine is asked when None.
        force: Return the plan even if it does not fit.
        thought: Tokens of each window that thoughts have added.

    Raises:
        MemoryOverflowError: It does not fit; the hint names a setting that does, if there is one.
    """
    free = machine.free_memory_bytes() if available is None else available
    plan = _sum_loads(loads, free)
    if plan.verdict == "too-big" and not force:
        raise _overflow_error(plan, loads, thought)
    return plan


def _sum_loads(loads: Sequence[ModelLoad], available: int) -> MemoryPlan:
    # A model that judges itself is in memory once.
    once = list({id(load.info): load for load in reversed(loads)}.values())[::-1]
    return MemoryPlan(
        weights=tuple((load.role, load.info.size_bytes) for load in once),
        context_bytes=sum(load.context_bytes for load in loads),
        buffer_bytes=sum(_buffer_bytes(load.info.size_bytes) for load in loads),
        available_bytes=available,
    )


def _context_bytes(kv_bytes_per_token: int, state_bytes: int, window: int, sequences: int) -> int:
    return (kv_bytes_per_token * window + state_bytes) * sequences


def _buffer_bytes(size_bytes: int) -> int:
    return max(_BUFFER_MIN, int(size_bytes * _BUFFER_SHARE))


def _overflow_error(plan: MemoryPlan, loads: Sequence[ModelLoad], thought: int) -> MemoryOverflowError:
    who = {1: "the model needs", 2: "the two models need"}.get(len(loads), f"the {len(loads)} models need")
    limit = machine.memory_limit_bytes()
    inside = f" (container limit {gigabytes(limit)} GB)" if limit is not None else ""
    parts = [f"{role} {gigabytes(size)} GB" for role, size in plan.weights]
    tokens = max(load.window for load in loads)
    branches = max(load.sequences for load in loads)
    times = f" x {branches}" if branches > 1 else ""
    parts += [
        f"context {tokens:,}{times}: {gigabytes(plan.context_bytes)} GB",
        f"buffers {gigabytes(plan.buffer_bytes)} GB",
    ]
    return MemoryOverflowError(
        f"{who} {gigabytes(plan.total_bytes)} GB, {gigabytes(plan.available_bytes)} GB are free{inside}",
        " + ".join(parts),
        hint=_advice(plan, loads, thought),
    )


def _advice(plan: MemoryPlan, loads: Sequence[ModelLoad], thought: int) -> str:
    """Leave out thoughts, halve the context, or the branches, until it fits; else a smaller model helps."""
    windows = _halvings(max(load.window for load in loads), _SMALLEST_CONTEXT + thought)
    samples = _halvings(max(load.sequences for load in loads), 1)
    changes = (
        [(setting("think", 0), [replace(x, window=x.window - thought) for x in loads])] if thought else []
    )
    changes += [
        (setting("ctx_size", n), [replace(x, window=min(x.window, n)) for x in loads]) for n in windows
    ]
    changes += [
        (setting("samples", n), [replace(x, sequences=min(x.sequences, n)) for x in loads]) for n in samples
    ]
    anyway = f"{setting('force', True)} tries anyway"
    for change, changed in changes:
        smaller = _sum_loads(changed, plan.available_bytes)
        if smaller.verdict != "too-big":
            return f"{change} needs {gigabytes(smaller.total_bytes)} GB; {anyway}"
    return f"a smaller model: {command('models', 'list')}; {anyway}"


def _halvings(start: int, smallest: int) -> Iterator[int]:
    while (start := start // 2) >= smallest:
        yield start
