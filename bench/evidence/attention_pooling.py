"""Does learned attention over the tokens of a solution read more than their mean or the last one?

Usage: ``python -m bench.evidence.attention_pooling MODEL DATA.jsonl ...
[--questions N] [--seed 1] [--components 64]``

Solutions that ``adascale calibrate fit`` kept for these questions are read again, every token's final hidden
state projected on principal components. Logistic heads on each pooling are compared, cross-validated by
question: of a whole finished solution, and of one unfinished step of each. Attention pooling follows
arXiv 2511.06209 in kind: a learned query per head, softmax over the tokens, the weighted mean to the head.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adascale.engine.calibration.features import sigmoid
from adascale.engine.calibration.head_fit import folds_of
from adascale.engine.calibration.metrics import METRICS, Predictions, bootstrap
from adascale.engine.calibration.projection import Projection
from adascale.engine.search.draws import branch_seed
from adascale.engine.types import Problem
from adascale.models.calibration.collect import DrawPlan, rollouts_path
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.llama.prefixes import evaluate_tokens
from adascale.models.llama.runtime import MAX_BATCH_TOKENS, Run
from adascale.models.options import SessionOptions
from adascale.models.question_sets import choose_questions, read_known
from adascale.models.session import OpenSession, Session

from ..common import close, table

Array = NDArray[np.float32]
FOLDS, STEPS, RATE, DECAY = 5, 300, 0.02, 10.0
SAMPLED = 20_000


@dataclass
class TokenStates:
    """Tokens of a solution or step, ``[tokens, width]`` and then ``[tokens, components]``."""

    question: int
    right: bool
    scalars: Array
    states: Array


def token_states(session: OpenSession, prompt: tuple[int, ...], tokens: list[int]) -> Array:
    """``[tokens, width]``, the state that each token was drawn from; sequence 0 holds the prompt after."""
    context, at, found = session.context, len(prompt) - 1, []
    # One run a token: then the context keeps the state of each.
    text = [prompt[-1], *tokens[:-1]]
    for start in range(0, len(text), MAX_BATCH_TOKENS):
        part = text[start : start + MAX_BATCH_TOKENS]
        context.decode([Run(0, at + start + i, [token]) for i, token in enumerate(part)])
        states = [context.state(i) for i in range(len(part))]
        found.append(np.array(states, np.float16))
    return np.concatenate(found)


def rows_of(session: OpenSession, index: int, rollouts: Rollouts) -> Iterator[tuple[str, TokenStates]]:
    """A row of each finished sample, and one of an unfinished step of each."""
    context, problem = session.context, rollouts.problem
    prompt = session.prompts.chats["prose"].prompt(problem.question)
    context.clear(0)
    evaluate_tokens(context, 0, 0, prompt[:-1])
    kept = context.snapshot(0)
    for end in rollouts.samples():
        context.restore(0, kept)
        path = rollouts.path(end)
        pieces = [list(rollouts.nodes[row].token_ids) for row in path]
        states = token_states(session, prompt, [token for piece in pieces for token in piece])
        right = bool(rollouts.nodes[end].right)
        yield "finished", TokenStates(index, right, scalars(rollouts, path), states)
        if len(path) > 1:
            pick = branch_seed(0, problem.id, (end,)) % (len(path) - 1)
            first = sum(map(len, pieces[:pick]))
            own = states[first : first + len(pieces[pick])]
            yield "unfinished", TokenStates(index, right, scalars(rollouts, path[: pick + 1]), own)


def scalars(rollouts: Rollouts, path: list[int]) -> Array:
    nodes = [rollouts.nodes[row] for row in path]
    tokens = np.array([len(node.token_ids) for node in nodes])
    total = tokens.sum()
    numbers = [
        np.log(len(path)),
        np.log(total),
        np.log(tokens[-1]),
        sum(node.logprob for node in nodes) / total,
        min(node.min_logprob for node in nodes),
        nodes[-1].min_logprob,
        np.array([node.entropy for node in nodes]) @ tokens / total,
        nodes[-1].entropy,
    ]
    return np.array(numbers, np.float32)


@dataclass
class Padded:
    """All rows of a stage: ``[n, tokens, components]`` with a mask, ``[n, scalars]``, outcomes, weights."""

    z: Array
    mask: Array
    x: Array
    right: Array
    weight: Array
    question: NDArray[np.int64]

    def take(self, rows: NDArray[np.bool_]) -> Padded:
        return Padded(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def padded(rows: list[TokenStates], components: int) -> Padded:
    rng = np.random.default_rng(0)
    everything = np.concatenate([row.states for row in rows])
    some = everything[rng.choice(len(everything), min(SAMPLED, len(everything)), replace=False)]
    projection = Projection.fit(some.astype(np.float32), np.ones(len(some)), components, 0.25)
    longest = max(len(row.states) for row in rows)
    z = np.zeros((len(rows), longest, components), np.float32)
    mask = np.zeros((len(rows), longest), np.float32)
    for i, row in enumerate(rows):
        z[i, : len(row.states)] = projection(row.states.astype(np.float32))
        mask[i, : len(row.states)] = 1
    x = np.stack([row.scalars for row in rows])
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)
    question = np.array([row.question for row in rows])
    _, index, counts = np.unique(question, return_inverse=True, return_counts=True)
    right = np.array([row.right for row in rows], np.float32)
    return Padded(z, mask, x, right, (1 / counts[index]).astype(np.float32), question)


def fixed(pool: Callable[[Padded], Array], data: Padded) -> Padded:
    """One made-up token per row that holds a pooling which learns nothing."""
    pooled = pool(data)[:, None, :]
    return Padded(
        pooled, np.ones((len(pooled), 1), np.float32), data.x, data.right, data.weight, data.question
    )


def mean(data: Padded) -> Array:
    found: Array = np.einsum("ntk,nt->nk", data.z, data.mask) / data.mask.sum(axis=1, keepdims=True)
    return found


def last(data: Padded) -> Array:
    found: Array = data.z[np.arange(len(data.z)), data.mask.sum(axis=1).astype(int) - 1]
    return found


def both(data: Padded) -> Array:
    return np.concatenate([mean(data), last(data)], axis=1)


def forward(params: list[Array], data: Padded) -> tuple[Array, Array, Array]:
    """Attention ``[n, tokens, heads]``, pooled ``[n, heads, components]``, log-odds ``[n]``."""
    query, value, linear, bias = params
    scores = data.z @ query - 1e9 * (1 - data.mask)[:, :, None]
    attention = np.exp(scores - scores.max(axis=1, keepdims=True))
    attention /= attention.sum(axis=1, keepdims=True)
    pooled = attention.transpose(0, 2, 1) @ data.z
    out = np.einsum("nhk,kh->n", pooled, value) + data.x @ linear + bias[0]
    return attention, pooled, out


def fit(data: Padded, heads: int, seed: int) -> list[Array]:
    """Adam on the weighted logistic loss, with the decay of the shipped heads."""
    rng = np.random.default_rng(seed)
    components = data.z.shape[2]
    params = [
        (rng.standard_normal((components, heads)) * 0.1 * (data.z.shape[1] > 1)).astype(np.float32),
        np.zeros((components, heads), np.float32),
        np.zeros(data.x.shape[1], np.float32),
        np.zeros(1, np.float32),
    ]
    total = data.weight.sum()
    first = [np.zeros_like(p) for p in params]
    second = [np.zeros_like(p) for p in params]
    for step in range(1, STEPS + 1):
        attention, pooled, out = forward(params, data)
        slope = ((sigmoid(out.astype(float)) - data.right) * data.weight / total).astype(np.float32)
        # d out / d score of a token: its attention times how far its value is from the pooled one.
        own = data.z @ params[1] - np.einsum("nhk,kh->nh", pooled, params[1])[:, None, :]
        d_query = np.einsum("ntk,nth->kh", data.z, attention * own * slope[:, None, None], optimize=True)
        gradients = [
            d_query * (data.z.shape[1] > 1),
            np.einsum("nhk,n->kh", pooled, slope),
            slope @ data.x,
            slope.sum(keepdims=True),
        ]
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / STEPS))
        for i, gradient in enumerate(gradients):
            g = gradient + (DECAY / total * params[i] if i < 3 else 0)
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.99 * second[i] + 0.01 * g**2
            scale = np.sqrt(second[i] / (1 - 0.99**step)) + 1e-8
            params[i] = (params[i] - rate * first[i] / (1 - 0.9**step) / scale).astype(np.float32)
    return params


def cross_validated(data: Padded, heads: int) -> Predictions:
    folds = folds_of(data.question, FOLDS, 0)
    p = np.empty(len(data.right))
    for fold in range(FOLDS):
        params = fit(data.take(folds != fold), heads, fold)
        p[folds == fold] = sigmoid(forward(params, data.take(folds == fold))[2].astype(float))
    return Predictions(data.question, np.column_stack([p, p, p]), data.right.astype(float), np.ones(len(p)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--components", type=int, default=64)
    args = parser.parse_args()
    found: dict[str, list[TokenStates]] = {"finished": [], "unfinished": []}
    problems: list[Problem] = choose_questions(read_known(args.data), args.questions, args.seed)
    with Session(SessionOptions(args.model, branches=2, purpose="rollouts")) as session:
        path = rollouts_path(session.prompts.fingerprints["value"], DrawPlan(seed=args.seed))
        with closing(RolloutStore(path)) as store:
            for index, problem in enumerate(problems):
                rollouts = store.get(problem)
                for stage, row in rows_of(session, index, rollouts) if rollouts else ():
                    found[stage].append(row)
    printed, figures = [], dict[str, Any]()
    for stage, rows in found.items():
        data = padded(rows, args.components)
        variants = {
            "last": (fixed(last, data), 1),
            "mean": (fixed(mean, data), 1),
            "mean and last": (fixed(both, data), 1),
            "attention, 1 query": (data, 1),
            "attention, 4 queries": (data, 4),
        }
        for name, (given, heads) in variants.items():
            scored = cross_validated(given, heads)
            figures[f"{stage}: {name}"] = {m: round(METRICS[m](scored), 4) for m in ("skill", "auc", "ece")}
            [(low, high)] = bootstrap(scored, METRICS["auc"])
            cells = [f"{METRICS[m](scored):.3f}" for m in ("skill", "auc", "ece")]
            printed.append([stage, name, str(len(rows)), *cells, f"{low:.3f} {high:.3f}"])
    table(["stage", "pooling", "n", "skill", "AUC", "ECE", "AUC 95 %"], printed)
    close(figures)


if __name__ == "__main__":
    main()
