"""Log-probabilities of labels behind many texts: nothing is generated, and each text is evaluated once.

The prompt before a text is evaluated once for all texts, and texts of any lengths share a batch, in a context
whose sequences share their cells. A label is read token by token, as constrained decoding would write it: at
each position at which labels differ, the probabilities of their next tokens are normalised to one; a token
that all of them share costs nothing. So labels that differ in their first token cost no evaluation beyond
that of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from .chat import ChatFormat
from .context import MAX_BATCH_TOKENS, LlamaContext, Run
from .model import MAX_TOKEN_BYTES, LlamaModel
from .policy import candidate_log_probs, first_tokens
from .prefixes import Tokens, common_length

FloatArray = NDArray[np.float64]

SEQUENCES = 128
"""Sequences of the context: the prompt; texts in one half; continuations of texts in the other."""

_TEXTS = SEQUENCES // 2 - 1

_LEAST_LOG_PROB = float(np.log(1e-3))
"""Log-probability of a label's beginning below which its continuations are not evaluated: they share it."""


Route = tuple[tuple[int, int], ...]
"""Indices of looks, each with the index of a candidate."""


@dataclass(frozen=True, slots=True)
class Look:
    """A position behind a text at which candidates for the next token are compared.

    Attributes:
        path: Tokens between the text and the position.
        candidates: The tokens of each candidate.
        route: Earlier looks and their candidates that lead here; empty for a look behind every text.
    """

    path: Tokens
    candidates: tuple[frozenset[int], ...]
    route: Route = ()


class LabelReader:
    """Reads looks behind texts.

    Args:
        context: A context of ``SEQUENCES`` sequences that share their cells; sequence 0 keeps the prompt.
        head: Tokens of the prompt before every text.
        looks: The looks, each behind the looks of its route.
    """

    def __init__(self, context: LlamaContext, head: Tokens, looks: Sequence[Look]) -> None:
        self._context, self._looks, self._head = context, looks, len(head)
        firsts = [look.path for look in looks if not look.route]
        self._lead = firsts[0][: common_length(*firsts)]  # evaluated with each text
        context.evaluate(0, 0, head)

    @property
    def room(self) -> int:
        """Most tokens of a text."""
        longest = max(len(look.path) for look in self._looks)
        return self._context.window - self._head - longest - MAX_BATCH_TOKENS

    def tokens(self, text: str) -> Tokens | None:
        """Tokens of a text; None if it is too long."""
        text = text.strip()
        if len(text) > MAX_TOKEN_BYTES * self._context.window:
            return None
        tokens = tuple(self._context.model.tokenize(text, special=False, follows=True))
        return tokens if len(tokens) <= self.room else None

    def read(self, texts: Sequence[Tokens]) -> Iterator[list[FloatArray]]:
        """Log-probabilities of the candidates of each look, one list for each text, in their order.

        Args:
            texts: Results of ``tokens``.
        """
        batch: list[Tokens] = []
        for text in texts:
            size = sum(map(len, (*batch, text))) + (len(batch) + 1) * len(self._lead)
            if batch and (size > MAX_BATCH_TOKENS or len(batch) == _TEXTS):
                yield from self._read_batch(batch)
                batch = []
            batch.append(text)
        if batch:
            yield from self._read_batch(batch)

    def _read_batch(self, texts: Sequence[Tokens]) -> list[list[FloatArray]]:
        """Read texts that fit into one batch, or a single text of any length."""
        context = self._context
        runs = [Run(n, self._head, (*text, *self._lead)) for n, text in enumerate(texts, start=1)]
        rows = self._branch(repeat(0), runs)
        results: list[list[FloatArray]] = [[] for _ in texts]
        for look in self._looks:
            if len(look.path) > len(self._lead):
                self._read_behind(look, runs, results)
                continue
            for result, row in zip(results, rows, strict=True):
                result.append(candidate_log_probs(context.logits(row), look.candidates))
        for run in runs:
            context.clear(run.sequence)
        return results

    def _read_behind(self, look: Look, runs: Sequence[Run], results: list[list[FloatArray]]) -> None:
        """Evaluate the path of a look behind the texts at which its route is likely enough."""
        likely = []
        for run, result in zip(runs, results, strict=True):
            if _log_prob(look.route, result) > _LEAST_LOG_PROB:
                likely.append((run, result))
            else:
                result.append(np.full(len(look.candidates), -np.log(len(look.candidates))))
        path = look.path[len(self._lead) :]
        step = max(1, min(SEQUENCES - _TEXTS - 1, MAX_BATCH_TOKENS // len(path)))
        for at in range(0, len(likely), step):
            part = likely[at : at + step]
            branches = [
                Run(_TEXTS + 1 + n, run.start + len(run.tokens), path) for n, (run, _) in enumerate(part)
            ]
            rows = self._branch([run.sequence for run, _ in part], branches)
            for row, (_, result) in zip(rows, part, strict=True):
                result.append(candidate_log_probs(self._context.logits(row), look.candidates))
            for branch in branches:
                self._context.clear(branch.sequence)

    def _branch(self, parents: Iterable[int], runs: Sequence[Run]) -> list[int]:
        """Evaluate runs, each behind the cells of its parent; a single run may be longer than a batch."""
        for parent, run in zip(parents, runs, strict=False):
            self._context.branch(run.sequence, parent)
        if len(runs) == 1:
            return [self._context.evaluate(runs[0].sequence, runs[0].start, runs[0].tokens)]
        return self._context.decode(runs)


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels as a model reads them.

    Attributes:
        looks: Positions at which labels differ.
        routes: For each label the candidates that spell it.
    """

    looks: Sequence[Look]
    routes: Sequence[Route]

    def log_probs(self, results: Sequence[FloatArray]) -> FloatArray:
        """``[labels]`` log-probabilities from the looks behind a text; the probabilities sum to one."""
        return np.array([_log_prob(route, results) for route in self.routes])


def one_of(model: LlamaModel, chat: ChatFormat, labels: Sequence[str]) -> Labels:
    """The looks that distinguish labels, one of which is the model's whole reply."""
    spelt = [(*model.tokenize(label, special=False), model.end_of_turn) for label in labels]
    looks: list[Look] = []
    routes: list[Route] = [()] * len(labels)

    def add(path: Tokens, route: Route) -> None:
        here = [n for n, tokens in enumerate(spelt) if tokens[: len(path)] == path]
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
    words = tuple(frozenset(first_tokens(model, word)) for word in ("Yes", "No"))
    looks = [
        Look((*model.tokenize(f"\n\n{question}", special=False, follows=True), *chat.tail), words)
        for question in questions
    ]
    return Labels(looks, [((n, 0),) for n in range(len(looks))])


def _log_prob(route: Route, results: Sequence[FloatArray]) -> float:
    """Log-probability of the candidates of a route, one behind the other."""
    return float(sum(results[look][n] for look, n in route))
