"""How a probability is read off the last token of a step: from two logits, or from a head on the state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..llama.runtime import FloatArray, LlamaContext
from .text import Script


class Readout(Protocol):
    """Reads one row of the last batch."""

    @property
    def states(self) -> bool:
        """Whether it reads hidden states, which the context has to keep then."""

    def read(self, context: LlamaContext, row: int) -> float:
        """P(good), in [0, 1]."""

    def doubt(self, context: LlamaContext, row: int) -> str:
        """Evidence that the model was never trained to answer here; empty without any."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A PRM format bound to a model: what it reads and how its answer is read.

    Attributes:
        name: Of the format.
        script: Text.
        readout: At the last token of a step.
    """

    name: str
    script: Script
    readout: Readout


@dataclass(frozen=True, slots=True)
class TokenPair:
    """P(good) against P(bad), from the logits of two answer tokens.

    Attributes:
        good: Token of a right step.
        bad: Token of a wrong step.
        least_share: Of all probability, what the two must have together in a model trained for this.
    """

    good: int
    bad: int
    least_share: float = 0.0
    states = False

    def read(self, context: LlamaContext, row: int) -> float:
        """Softmax over the two."""
        good, bad = context.logits(row)[[self.good, self.bad]]
        return _sigmoid(float(good) - float(bad))

    def doubt(self, context: LlamaContext, row: int) -> str:
        """A text where other tokens are far more likely than the two; else empty."""
        logits = context.logits(row).astype(np.float64)
        weights = np.exp(logits - logits.max())
        share = float(weights[[self.good, self.bad]].sum() / weights.sum())
        if share >= self.least_share:
            return ""
        return f"only {share:.2%} of its probability lies on the two answers"


@dataclass(frozen=True, slots=True)
class Head:
    """Linear layers with ReLU between them, on the final hidden state.

    Attributes:
        layers: (weight ``[out, in]``, bias ``[out]``) of each layer. The last one has one output, the
            log-odds, or two, the logits of wrong and right.
    """

    layers: tuple[tuple[FloatArray, FloatArray], ...]
    states = True

    def read(self, context: LlamaContext, row: int) -> float:
        """Sigmoid of one output, or softmax over two."""
        state = context.state(row)
        assert state is not None, "a head needs a context that keeps states"
        return _sigmoid(self.log_odds(state))

    def log_odds(self, state: FloatArray) -> float:
        """Logit of P(good) for a ``[width]`` state after the final norm."""
        *hidden, (weight, bias) = self.layers
        for inner, offset in hidden:
            state = np.maximum(inner @ state + offset, 0.0)
        out = weight @ state + bias
        return float(out[0] if len(out) == 1 else out[1] - out[0])

    def doubt(self, context: LlamaContext, row: int) -> str:
        """Nothing: a head can only be checked by its shapes."""
        return ""


def _sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * logit))
