"""Opening a PRM in a test, and reading it in one piece."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.ports import Prefix
from adascale.engine.types import Problem, Step
from adascale.models.llama.context import LlamaContext, Run
from adascale.models.llama.model import AbortFlag, LlamaModel
from adascale.models.llama.prefixes import PrefixCache
from adascale.models.prm.formats import FORMATS, TokenPair
from adascale.models.prm.scorer import Adapter, StepPRM


@dataclass(frozen=True)
class Opened:
    """A PRM with what it is made of; the context has a second sequence, for the test's own use."""

    prm: StepPRM
    adapter: Adapter
    model: LlamaModel
    context: LlamaContext

    def reward(self, problem: Problem, *steps: Step) -> float:
        """Score of the last step."""
        return self.prm.score([Prefix(problem, steps)])[0].reward

    def cost(self, problem: Problem, *steps: Step) -> int:
        """Tokens that scoring the last step evaluates."""
        return self.prm.score([Prefix(problem, steps)])[0].prm_tokens

    def tokens(self, problem: Problem, *steps: Step) -> tuple[int, ...]:
        """All tokens of a prefix."""
        return self.adapter.script.tokens(self.model, Prefix(problem, steps))[0]


@contextmanager
def opened(path: Path, name: str) -> Iterator[Opened]:
    """A PRM without its self-test."""
    with ExitStack() as stack:
        model = LlamaModel(path)
        stack.callback(model.close)
        adapter = FORMATS[name](model)
        context = LlamaContext(model, 1024, 2, 1, AbortFlag(), states=adapter.readout.states)
        stack.callback(context.close)
        yield Opened(StepPRM(context, adapter, PrefixCache(1 << 28)), adapter, model, context)


def step(text: str) -> Step:
    """A step as a generator writes it, with the blank line behind it."""
    return Step(f"{text}\n\n", (1, 2, 3), -1.0, "step")


def read_in_one_batch(prm: Opened, tokens: Sequence[int], ends: Sequence[int]) -> list[float]:
    """P(good) from the two answers' logits at the last token before each of ``ends``, of one evaluation."""
    pair = prm.adapter.readout
    assert isinstance(pair, TokenPair)
    starts = [0, *ends[:-1]]
    prm.context.clear(1)
    prm.context.decode([Run(1, at, tokens[at:end]) for at, end in zip(starts, ends, strict=True)])
    found = []
    for end in ends:
        logits = prm.context.logits(end - 1).astype(float)
        good, bad = math.exp(logits[pair.good]), math.exp(logits[pair.bad])
        found.append(good / (good + bad))
    return found
