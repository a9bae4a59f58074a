"""A tiny model with contexts of its own: searches on it, compared with the same tokens one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scripted import logs_of, ticking

from adascale.engine.ports import SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event
from adascale.engine.search.record import replay
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import Strategy
from adascale.engine.types import Mode, NodeId, Problem, Step
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.context import FloatArray, LlamaContext, Run
from adascale.models.llama.model import AbortFlag, LlamaModel
from adascale.models.llama.policy import LlamaPolicy
from adascale.models.llama.prefixes import PrefixCache
from adascale.models.llama.stepcost import StepCosts
from adascale.models.options import SamplingParams

SYSTEM = "Be brief."
UNMEASURED = StepCosts({})


@dataclass
class Machine:
    """A model whose contexts and policies are closed after the test."""

    model: LlamaModel
    stack: ExitStack

    def context(self, slots: int = 1, *, window: int = 512, states: bool = True) -> LlamaContext:
        """A context of one thread: two would wait for each other more than they compute."""
        context = LlamaContext(self.model, window, slots, 1, AbortFlag(), states=states)
        self.stack.callback(context.close)
        return context

    def policy(
        self,
        slots: int = 4,
        *,
        window: int = 512,
        states: bool = False,
        chats: Mapping[Mode, ChatFormat] | None = None,
        sampling: SamplingParams | None = None,
        cache: PrefixCache | None = None,
        costs: StepCosts | None = UNMEASURED,
        park_steps: bool = True,
        text: SamplingParams | None = None,
    ) -> tuple[LlamaPolicy, LlamaContext]:
        """A policy and its context."""
        context = self.context(slots, window=window, states=states)
        chats = chats or {"prose": ChatFormat(self.model, SYSTEM)}
        sampling = sampling or SamplingParams(max_tokens=64)
        policy = LlamaPolicy(
            context,
            chats,
            {**dict.fromkeys(chats, sampling), "text": text or sampling},
            cache or PrefixCache(1 << 28),
            costs,
            park_steps,
        )
        self.stack.callback(policy.close)
        return policy, context

    def search(
        self,
        problems: list[Problem],
        strategy: Strategy,
        *,
        slots: int = 4,
        states: bool = True,
        even: bool = False,
        cache_bytes: int = 1 << 28,
        sampling: SamplingParams | None = None,
    ) -> dict[str, list[Event]]:
        """Logs by problem."""
        policy, _ = self.policy(
            slots,
            states=states,
            sampling=sampling or SamplingParams(max_tokens=48),
            cache=PrefixCache(cache_bytes),
            costs=None if even else UNMEASURED,
        )
        driver = Driver(policy, SequenceLogprob(), {}, ticking())
        return logs_of(driver.run(problems, Settings(strategy, seed=7)))

    def prompt(self, problem: Problem) -> list[int]:
        return list(ChatFormat(self.model, SYSTEM).prompt(problem.question))

    def states_one_by_one(self, tokens: Sequence[int]) -> list[FloatArray]:
        """State behind every token, each evaluated alone in a context of its own."""
        context = self.context()
        found = []
        for at, token in enumerate(tokens):
            context.decode([Run(0, at, [token])])
            found.append(context.state(0).copy())
        return found

    def logprobs_one_by_one(self, tokens: Sequence[int]) -> list[float]:
        """Log-probability of every token but the first, each evaluated alone in a context of its own."""
        context = self.context(states=False)
        found = []
        for at, (token, following) in enumerate(pairwise(tokens)):
            context.decode([Run(0, at, [token])])
            logits = context.logits(0).astype(float)
            found.append(float(logits[following] - np.logaddexp.reduce(logits)))
        return found

    def check_readings(self, problem: Problem, strategy: Strategy) -> int:
        """Compare the readings of a search with the states of the same tokens; returns how many steps."""
        tree = replay(self.search([problem], strategy)[problem.id])
        prompt, checked = self.prompt(problem), 0
        for steps in self._paths(tree):
            states = self.states_one_by_one([*prompt, *tokens_of(steps)])
            assert close(tree.readings["prose"].last, states[len(prompt) - 1])
            at = len(prompt)
            for step in steps:
                # A token is drawn from the state behind the token before it.
                own = states[at - 1 : at - 1 + len(step.token_ids)]
                assert step.reading is not None
                assert close(step.reading.last, own[-1])
                assert close(step.reading.mean, np.mean(own, axis=0))
                at += len(step.token_ids)
                checked += 1
        return checked

    def check_logprobs(self, problem: Problem, strategy: Strategy, **how: Any) -> int:
        """Compare the log-probabilities of a search with those of the same tokens; returns how many steps."""
        tree = replay(self.search([problem], strategy, states=False, **how)[problem.id])
        prompt, checked = self.prompt(problem), 0
        for steps in self._paths(tree):
            logprobs = self.logprobs_one_by_one([*prompt, *tokens_of(steps)])[len(prompt) - 1 :]
            for step in steps:
                own, logprobs = logprobs[: len(step.token_ids)], logprobs[len(step.token_ids) :]
                assert abs(step.logprob - sum(own)) < 1e-2
                checked += 1
        return checked

    def _paths(self, tree: Tree) -> Iterator[list[Step]]:
        """Steps to the deepest, the first and the last leaf."""
        ends = [node.id for node in tree if node.step and not tree.children(node.id)]
        for end in sorted({deepest(tree), ends[0], ends[-1]}):
            yield list(tree.steps(end))


@contextmanager
def opened(path: Path) -> Iterator[Machine]:
    """A machine with the model of a file, closed afterwards."""
    with ExitStack() as stack:
        model = LlamaModel(path)
        stack.callback(model.close)
        yield Machine(model, stack)


def text_of(model: LlamaModel, tokens: Iterable[int]) -> str:
    """Text of tokens, in which control tokens have none."""
    return b"".join(map(model.piece, tokens)).decode()


def tokens_of(steps: Sequence[Step]) -> list[int]:
    return [token for step in steps for token in step.token_ids]


def close(a: FloatArray, b: FloatArray) -> bool:
    return bool(np.allclose(a, b, rtol=1e-3, atol=5e-3))


def deepest(tree: Tree) -> NodeId:
    return max(tree, key=lambda node: node.depth).id
