"""PRMs read from the language-model head: the probability of a good token against a bad one after each step.

Scoring is incremental. A PRM's text only ever grows behind the prefix, so each scored prefix is parked, and
a child evaluates its own step's tokens and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from adascale.engine.errors import ContextOverflowError
from adascale.engine.ports import Prefix, Score
from adascale.engine.types import Problem

from ..prefixes import Parked, PrefixCache, Tokens, evaluate
from ..runtime import LlamaContext, LlamaModel


@dataclass(frozen=True, slots=True)
class StepFormat:
    """How a PRM wants to read a solution; ``good`` and ``bad`` are the tokens it answers with.

    Attributes:
        name: Of the format.
        question: Pieces before and behind the question.
        first: Pieces before and behind the first step.
        later: The same for every later step; what the PRM is taken to have answered before comes first.
        good: Token of a right step.
        bad: Token of a wrong step.
    """

    name: str
    question: tuple[str, str]
    first: tuple[str, str]
    later: tuple[str, str]
    good: int
    bad: int


class TokenPRM:
    """Scores steps with a GGUF language model; implements ``engine.ports.RewardModel``.

    Args:
        context: Its first sequence is used.
        step_format: Text and readout.
        cache: Parked prefixes of this context.
    """

    def __init__(self, context: LlamaContext, step_format: StepFormat, cache: PrefixCache) -> None:
        self._context = context
        self._model = context.model
        self._format = step_format
        self._cache = cache

    @property
    def flops_per_token(self) -> float:
        """2 x parameters."""
        return 2.0 * self._model.parameters

    def score(self, prefixes: Sequence[Prefix]) -> list[Score]:
        """P(good) against P(bad) behind the last step of each prefix, in [0, 1].

        Raises:
            ContextOverflowError: a solution is longer than the PRM's window.
        """
        return [self._score(prefix) for prefix in prefixes]

    def close_problem(self, problem: Problem) -> None:
        """Forget the problem's prefixes."""
        self._cache.drop_below(self.tokens(Prefix(problem))[0])

    def tokens(self, prefix: Prefix) -> tuple[Tokens, tuple[int, ...]]:
        """All tokens the PRM reads for a prefix, and the lengths after the question and after each step."""
        form = self._format
        tokens = self._piece(form.question, prefix.problem.question)
        if self._model.bos is not None and tokens[:1] != [self._model.bos]:
            tokens.insert(0, self._model.bos)
        ends = [len(tokens)]
        for index, step in enumerate(prefix.steps):
            tokens += self._piece(form.later if index else form.first, step.text)
            ends.append(len(tokens))
        return tuple(tokens), tuple(ends)

    def _piece(self, around: tuple[str, str], text: str) -> list[int]:
        before, behind = around
        return [
            *self._model.tokenize(before, special=True),
            *self._model.tokenize(text.strip(), special=False),
            *self._model.tokenize(behind, special=True),
        ]

    def _score(self, prefix: Prefix) -> Score:
        tokens, ends = self.tokens(prefix)
        if len(tokens) > self._context.window:
            raise ContextOverflowError(
                f"the PRM reads {len(tokens):,} tokens here, its window is {self._context.window:,}",
                hint="use a larger --ctx-size",
            )
        found = self._cache.get(tokens)
        evaluated = 0
        if found is None or found.logits is None:
            evaluated, found = self._read(tokens, ends)
        assert found.logits is not None
        good, bad = found.logits
        return Score(1.0 / (1.0 + math.exp(bad - good)), evaluated)

    def _read(self, tokens: Tokens, ends: Sequence[int]) -> tuple[int, Parked]:
        """Evaluate what no parked prefix holds; the question is parked too, for all first steps."""
        held = self._cache.longest(tokens, ends)
        parked = self._cache.get(held) if held else None
        if parked is not None:
            self._context.restore(0, parked.state)
        else:
            self._context.clear(0)
            held = tokens[: ends[0]]
            evaluate(self._context, 0, 0, held)
            self._cache.put(held, Parked(self._context.snapshot(0), None), pin=True)
        evaluated = len(tokens) - (len(held) if parked is not None else 0)
        row = evaluate(self._context, 0, len(held), tokens[len(held) :])
        verdict = self._context.logits(row)[[self._format.good, self._format.bad]]
        read = Parked(self._context.snapshot(0), verdict)
        self._cache.put(tokens, read)
        return evaluated, read


def answer_token(model: LlamaModel, text: str) -> int:
    """First token of an answer word."""
    return model.tokenize(text, special=False)[0]
