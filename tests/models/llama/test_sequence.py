"""Readings of a tiny model: pooled states equal those of the same tokens evaluated one by one."""

from __future__ import annotations

import numpy as np
import pytest
from machine import SYSTEM, Machine, close, deepest

from adascale.engine.search.events import Event
from adascale.engine.search.record import replay
from adascale.engine.strategies import Beam, Vote
from adascale.engine.types import Problem, Step
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.context import Run

PROBLEM = Problem("p", "What is twice 9?")


def test_a_reading_has_the_likelihood_of_its_logits(machine: Machine) -> None:
    tree = replay(machine.search([PROBLEM], Vote(2))["p"])
    context = machine.context()
    tokens = list(ChatFormat(machine.model, SYSTEM).prompt(PROBLEM.question))
    steps = tree.steps(deepest(tree))
    for at, token in enumerate(tokens):
        context.decode([Run(0, at, [token])])
    for step in steps:
        logprobs, entropies = [], []
        for token in step.token_ids:
            logits = context.logits(0).astype(float)
            log_p = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
            logprobs.append(log_p[token])
            entropies.append(-(np.exp(log_p) * log_p).sum())
            context.decode([Run(0, len(tokens), [token])])
            tokens.append(token)
        assert step.reading is not None
        assert step.logprob == pytest.approx(sum(logprobs), abs=2e-2)
        assert step.reading.min_logprob == pytest.approx(min(logprobs), abs=1e-2)
        assert step.reading.entropy == pytest.approx(np.mean(entropies), abs=1e-2)


NEIGHBOURS = [
    Problem("short", "Hm?"),
    PROBLEM,
    Problem("long", "word " * 20),
    *(Problem(str(i), f"What is {i} + {i}?") for i in range(6)),
]


def test_batches_of_one_width_give_the_same_bits_beside_any_neighbours(machine: Machine) -> None:
    strategy = Beam(2, 2)
    [alone] = machine.search([PROBLEM], strategy, slots=8, even=True).values()
    together = machine.search(NEIGHBOURS, strategy, slots=8, even=True)["p"]
    assert bits(alone) == bits(together)


def bits(log: list[Event]) -> dict[str, list[tuple[tuple[int, ...], float, bytes, bytes, float]]]:
    """Tokens and readings of every trajectory as bytes, by its tokens: nodes are numbered as they finish."""
    tree = replay(log)
    reading = tree.readings["prose"]
    found = {"prompt": [((), 0.0, reading.last.tobytes(), reading.mean.tobytes(), 0.0)]}
    paths = [tree.path(node.id) for node in tree if node.status == "terminal"]
    for path in paths:
        steps = [node.step for node in path if node.step]
        key = str([step.token_ids for step in steps])
        found[key] = [row(step) for step in steps]
    return found


def row(step: Step) -> tuple[tuple[int, ...], float, bytes, bytes, float]:
    assert step.reading is not None
    r = step.reading
    return step.token_ids, step.logprob, r.last.tobytes(), r.mean.tobytes(), r.entropy


def test_a_dropped_prefix_is_evaluated_again_with_the_same_states(machine: Machine) -> None:
    strategy = Beam(2, 2)
    kept, dropped = (
        replay(machine.search([PROBLEM], strategy, cache_bytes=size)["p"]) for size in (1 << 28, 0)
    )
    assert [kept.text(n.id) for n in kept] == [dropped.text(n.id) for n in dropped]
    for a, b in zip(kept, dropped, strict=True):
        if a.step and b.step:
            assert a.step.reading is not None
            assert b.step.reading is not None
            assert close(a.step.reading.mean, b.step.reading.mean)
