"""Log-probabilities of labels behind many texts: nothing is generated, and a text is evaluated once.

The prompt before a text is evaluated once for all of them. Texts share batches, whatever their lengths, in a
context whose sequences share their cells. A label is read token by token, as constrained decoding would write
it: where the labels that are left differ, the probabilities of their next tokens are made to add up to one,
and a token that all of them share costs nothing. So labels that differ in their first token cost no
evaluation beyond that of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .chat import ChatFormat
from .context import MAX_BATCH_TOKENS, LlamaContext, Run
from .model import MAX_TOKEN_BYTES, LlamaModel
from .policy import compared, first_tokens
from .prefixes import Tokens, common_length, evaluate_tokens

FloatArray = NDArray[np.float64]

SEQUENCES = 128
"""Sequences of the context: the prompt, texts in one half, what is read behind them in the other."""

_TEXTS = SEQUENCES // 2 - 1

_FOLLOWED = float(np.log(1e-3))
"""Log-probability of the beginning of labels below which its labels share it equally, without evaluation."""


Route = tuple[tuple[int, int], ...]
"""Numbers of looks, each with that of a candidate."""


@dataclass(frozen=True, slots=True)
class Look:
    """A place behind a text at which candidates for the next token are compared.

    Attributes:
        path: Tokens between the text and the place.
        candidates: For each candidate, the tokens that count for it.
        route: Looks and their candidates that lead here, by number; empty for a look behind every text.
    """

    path: Tokens
    candidates: tuple[frozenset[int], ...]
    route: Route = ()


class LabelReader:
    """Reads looks behind texts.

    Args:
        context: Has ``SEQUENCES`` sequences that share their cells; sequence 0 keeps the prompt.
        head: Tokens of the prompt before every text.
        looks: Each behind those of its route.
    """

    def __init__(self, context: LlamaContext, head: Tokens, looks: Sequence[Look]) -> None:
        self._context, self._looks, self._head = context, looks, len(head)
        firsts = [look.path for look in looks if not look.route]
        self._shared = common_length(*firsts)
        self._lead = firsts[0][: self._shared]
        evaluate_tokens(context, 0, 0, head)

    @property
    def room(self) -> int:
        """Tokens that a text may have."""
        longest = max(len(look.path) for look in self._looks)
        return self._context.window - self._head - longest - MAX_BATCH_TOKENS

    def tokens(self, text: str) -> Tokens | None:
        """Tokens of a text; None for one that is too long, most of which are not even tokenized."""
        text = text.strip()
        if len(text) > MAX_TOKEN_BYTES * self._context.window:
            return None
        tokens = tuple(self._context.model.tokenize(text, special=False, follows=True))
        return tokens if len(tokens) <= self.room else None

    def read(self, texts: Sequence[Tokens]) -> Iterator[list[FloatArray]]:
        """Log-probabilities of the candidates of each look, one list a text, in their order.

        Args:
            texts: Tokens as of ``tokens``.
        """
        batch: list[Tokens] = []
        size = 0
        for text in texts:
            size += len(text) + len(self._lead)
            if batch and (size > MAX_BATCH_TOKENS or len(batch) == _TEXTS):
                yield from self._read_batch(batch)
                batch, size = [], len(text) + len(self._lead)
            batch.append(text)
        if batch:
            yield from self._read_batch(batch)

    def _read_batch(self, texts: Sequence[Tokens]) -> list[list[FloatArray]]:
        """The looks behind texts that fit in one batch, or behind a single long one."""
        context = self._context
        runs = [Run(n, self._head, (*text, *self._lead)) for n, text in enumerate(texts, start=1)]
        for run in runs:
            context.branch(run.sequence, 0)
        if len(runs) == 1:  # it may be longer than a batch
            rows = [evaluate_tokens(context, 1, self._head, runs[0].tokens)]
        else:
            rows = context.decode(runs)
        results: list[list[FloatArray]] = [[] for _ in texts]
        for look in self._looks:
            if len(look.path) > self._shared:
                self._follow(look, runs, results)
                continue
            for result, row in zip(results, rows, strict=True):
                result.append(compared(context.logits(row), look.candidates))
        for run in runs:
            context.clear(run.sequence)
        return results

    def _follow(self, look: Look, runs: Sequence[Run], results: list[list[FloatArray]]) -> None:
        """Read one look behind the texts in which its beginning is likely enough."""
        wanted = []
        for run, result in zip(runs, results, strict=True):
            if _along(look.route, result) > _FOLLOWED:
                wanted.append((run, result))
            else:
                result.append(np.full(len(look.candidates), -np.log(len(look.candidates))))
        path = look.path[self._shared :]
        step = max(1, min(SEQUENCES - _TEXTS - 1, MAX_BATCH_TOKENS // len(path)))
        for at in range(0, len(wanted), step):
            part = wanted[at : at + step]
            branches = [
                Run(_TEXTS + 1 + n, run.start + len(run.tokens), path) for n, (run, _) in enumerate(part)
            ]
            for branch, (run, _) in zip(branches, part, strict=True):
                self._context.branch(branch.sequence, run.sequence)
            for row, (_, result) in zip(self._context.decode(branches), part, strict=True):
                result.append(compared(self._context.logits(row), look.candidates))
            for branch in branches:
                self._context.clear(branch.sequence)


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels as a model reads them.

    Attributes:
        looks: Places at which labels differ.
        routes: For each label the candidates that spell it.
    """

    looks: Sequence[Look]
    routes: Sequence[Route]

    def log_probs(self, results: Sequence[FloatArray]) -> FloatArray:
        """``[labels]`` log-probabilities from the looks behind a text; their probabilities add up to one."""
        return np.array([_along(route, results) for route in self.routes])


def one_of(model: LlamaModel, chat: ChatFormat, labels: Sequence[str]) -> Labels:
    """The looks that tell labels apart, one of which the model would write as its whole reply."""
    spelt = [(*model.tokenize(label, special=False), model.end_of_turn) for label in labels]
    looks: list[Look] = []
    routes: list[Route] = [()] * len(labels)

    def add(path: Tokens, route: Route) -> None:
        here = [n for n, each in enumerate(spelt) if each[: len(path)] == path]
        for n in here:
            routes[n] = route
        if len(here) == 1:
            return
        while len(tokens := dict.fromkeys(spelt[n][len(path)] for n in here)) == 1:
            path = (*path, *tokens)
        look = len(looks)
        looks.append(Look((*chat.tail, *path), tuple(frozenset([token]) for token in tokens), route))
        for n, token in enumerate(tokens):
            add((*path, token), (*route, (look, n)))

    add((), ())
    return Labels(looks, routes)


def each_of(model: LlamaModel, chat: ChatFormat, questions: Sequence[str]) -> Labels:
    """A look at yes or no for each question behind a text."""
    words = [frozenset(first_tokens(model, word)) for word in ("Yes", "No")]
    looks = [
        Look((*model.tokenize(f"\n\n{question}", special=False, follows=True), *chat.tail), (*words,))
        for question in questions
    ]
    return Labels(looks, [((n, 0),) for n in range(len(looks))])


def _along(route: Route, results: Sequence[FloatArray]) -> float:
    """Log-probability of the candidates of a route, one behind the other."""
    return float(sum(results[look][n] for look, n in route))
