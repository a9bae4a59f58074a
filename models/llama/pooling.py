"""Hidden states pooled over a step while it is written: no token is evaluated for it."""

from __future__ import annotations

import numpy as np

from adascale.engine.types import Reading

from .runtime import FloatArray


class Pool:
    """The states and log-probabilities of the tokens of one step so far."""

    def __init__(self) -> None:
        self._sum: FloatArray | None = None
        self._last: FloatArray | None = None
        self._tokens = 0
        self._min_logprob = 0.0
        self._entropy = 0.0

    def push(self, state: FloatArray, logprob: float, entropy: float) -> None:
        """Add a token: the ``[width]`` state it was drawn from (copied), its log-probability, the entropy."""
        if self._sum is None:
            self._sum, self._last = state.copy(), np.empty_like(state)
        else:
            self._sum += state
        assert self._last is not None
        self._last[:] = state
        self._tokens += 1
        self._min_logprob = min(self._min_logprob, logprob)
        self._entropy += entropy

    def take(self) -> Reading | None:
        """The reading of the whole step, None when nothing was pushed."""
        if self._sum is None or self._last is None:
            return None
        return Reading(
            self._last, self._sum / np.float32(self._tokens), self._min_logprob, self._entropy / self._tokens
        )
