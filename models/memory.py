"""Will it fit? Weights, context and buffers against the free memory, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from adascale.engine.decimals import gigabytes
from adascale.engine.errors import MemoryOverflowError, command, setting
from adascale.engine.strategies import Adaptive

from . import machine
from .files.gguf.info import GGUFInfo
from .options import WINDOW, WINDOW_UNIT, prm_window

# Above this share of the free memory a plan is tight: it works, but the system may begin to swap.
_TIGHT = 0.9

# llama.cpp's compute buffers are not known before a load; this is on the safe side for small models.
_BUFFER_SHARE = 0.1
_BUFFER_MIN = 200 * 10**6


@dataclass(frozen=True, slots=True)
class SessionLoad:
    """What a session will have in memory.

    Attributes:
        generator: Its header.
        window: Tokens of one trajectory.
        branches: Trajectories that are in the generator's KV cache at once.
        prm: The PRM's header; the generator's own where that judges itself, whose weights are there once.
    """

    generator: GGUFInfo
    window: int
    branches: int
    prm: GGUFInfo | None = None

    def models(self) -> list[ModelLoad]:
        """Each model with its context."""
        found = [ModelLoad("generator", self.generator, self.window, self.branches)]
        if self.prm is not None:
            found.append(ModelLoad("PRM", self.prm, prm_window(self.prm, self.window), 1))
        return found


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
        per_token, states = self.info.kv_bytes_per_token, self.info.state_bytes
        return _context_bytes(per_token, states, self.window, self.sequences)

    @property
    def context_size(self) -> str:
        """Its window and sequences as messages show them: "2,048 x 8"."""
        return f"{self.window:,} x {self.sequences}" if self.sequences > 1 else f"{self.window:,}"


@dataclass(frozen=True, slots=True)
class Savings:
    """What a session could do with less of.

    Attributes:
        thought: Tokens of its window that thoughts have added.
        window: Tokens of the smallest window for a question, its thought and its answer.
        samples: Whether fewer samples are fewer branches, as they are where one question is asked.
    """

    thought: int = 0
    window: int = 512
    samples: bool = False


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
    def spare_bytes(self) -> int:
        """What stays free beside it."""
        return max(0, self.available_bytes - self.total_bytes)

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
    load: SessionLoad, *, available: int | None = None, force: bool = False, savings: Savings = Savings()
) -> MemoryPlan:
    """Add up what a session needs.

    Args:
        load: The models that will be in memory at the same time.
        available: Bytes that may be used; the machine is asked when None.
        force: Return the plan even if it does not fit.
        savings: What the advice may be, where it does not fit.

    Raises:
        MemoryOverflowError: It does not fit; the hint names a setting that does, if there is one.
    """
    free = machine.free_memory_bytes() if available is None else available
    plan = _add_up(load, free)
    if plan.verdict == "too-big" and not force:
        raise _overflow_error(plan, load, savings)
    return plan


def _add_up(load: SessionLoad, available: int) -> MemoryPlan:
    models = load.models()
    # A model that judges itself is in memory once.
    once = models[:1] if load.prm is load.generator else models
    return MemoryPlan(
        weights=tuple((model.role, model.info.size_bytes) for model in once),
        context_bytes=sum(model.context_bytes for model in models),
        buffer_bytes=sum(_buffer_bytes(model.info.size_bytes) for model in models),
        available_bytes=available,
    )


def _context_bytes(kv_bytes_per_token: int, state_bytes: int, window: int, sequences: int) -> int:
    return (kv_bytes_per_token * window + state_bytes) * sequences


def _buffer_bytes(size_bytes: int) -> int:
    return max(_BUFFER_MIN, int(size_bytes * _BUFFER_SHARE))


def _overflow_error(plan: MemoryPlan, load: SessionLoad, savings: Savings) -> MemoryOverflowError:
    generator, *prm = load.models()
    who = "the two models need" if prm else "the model needs"
    limit = machine.memory_limit_bytes()
    inside = f" (container limit {gigabytes(limit)} GB)" if limit is not None else ""
    contexts = " and ".join([generator.context_size, *(f"{model.context_size} of the PRM" for model in prm)])
    parts = [
        *(f"{role} {gigabytes(size)} GB" for role, size in plan.weights),
        f"context {contexts}: {gigabytes(plan.context_bytes)} GB",
        f"buffers {gigabytes(plan.buffer_bytes)} GB",
    ]
    return MemoryOverflowError(
        f"{who} {gigabytes(plan.total_bytes)} GB, {gigabytes(plan.available_bytes)} GB are free{inside}",
        " + ".join(parts),
        hint=_advice(plan, load, savings),
    )


def _advice(plan: MemoryPlan, load: SessionLoad, savings: Savings) -> str:
    """Leave out thoughts, halve the context, or the branches, until it fits; else a smaller model helps."""
    anyway = f"{setting('force', True)} tries anyway"
    for change, changed in _smaller(load, savings):
        smaller = _add_up(changed, plan.available_bytes)
        if smaller.verdict != "too-big":
            return f"{change} needs {gigabytes(smaller.total_bytes)} GB; {anyway}"
    return f"a smaller model: {command('models', 'list')}; {anyway}"


def _smaller(load: SessionLoad, savings: Savings) -> Iterator[tuple[str, SessionLoad]]:
    """Settings that take less memory, each with what it leaves to load."""
    if savings.thought:
        yield setting("think", 0), replace(load, window=load.window - savings.thought)
    for window in _halvings(load.window, savings.window, WINDOW_UNIT):
        yield setting("ctx_size", window), replace(load, window=window)
    for branches in _halvings(load.branches, 1) if savings.samples else ():
        yield setting("samples", branches), replace(load, branches=branches)


def _halvings(start: int, smallest: int, unit: int = 1) -> Iterator[int]:
    while (start := start // 2 // unit * unit) >= smallest:
        yield start
