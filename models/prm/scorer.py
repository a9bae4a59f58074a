"""The scorer of all PRM formats: it evaluates only the tokens of a new step.

A format is a script and a readout (``Adapter``). The script is tokenized in pieces, since text of a user or a
model never has control tokens. A longer solution appends to the script, so each scored prefix that may go on
is parked, and its child evaluates one step. The text before the question is evaluated once for all questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import NamedTuple, Protocol

from adascale.engine.errors import ContextOverflowError, UsageError, setting
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import kind_of
from adascale.engine.ports import Prefix, Score, SequenceLogprob
from adascale.engine.types import Problem, Step

from ..llama.chat import PLACEHOLDER, with_bos
from ..llama.context import LlamaContext
from ..llama.model import LlamaModel
from ..llama.prefixes import PrefixCache, Tokens
from ..llama.templates import Message, render

FIRST, LATER = "ADASCALE-FIRST-7c1f", "ADASCALE-LATER-7c1f"
"""Placeholders of the first step and of a later one."""


class Around(NamedTuple):
    """Text of a format around a text; control tokens count in ``before`` and ``behind``, not in ``lead``."""

    before: str
    behind: str
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A PRM's text format; each step appends text.

    Attributes:
        head: Text before every question, behind BOS if the vocabulary has it.
        question, first, later: Text around a question, its first step and each later one. The reward is read
            at the last token of a step.
    """

    head: str
    question: Around
    first: Around
    later: Around

    def tokens(self, model: LlamaModel, prefix: Prefix) -> tuple[Tokens, tuple[int, ...]]:
        """All tokens of a prefix, and their number up to the head, the question, and each step."""
        texts = [kind_of(prefix.problem).statement(prefix.problem), *(step.text for step in prefix.steps)]
        tokens = list(with_bos(model, model.tokenize(self.head, special=True)))
        ends = [len(tokens)]
        around = chain((self.question, self.first), repeat(self.later))
        for text, (before, behind, lead) in zip(texts, around, strict=False):
            tokens += model.tokenize(before, special=True, follows=True)
            tokens += model.tokenize(lead + text.strip(), special=False, follows=True)
            tokens += model.tokenize(behind, special=True, follows=True)
            ends.append(len(tokens))
        return tuple(tokens), tuple(ends)


def turns_script(
    model: LlamaModel,
    name: str,
    opening: Sequence[Message],
    answer: str,
    *,
    is_joined: bool = False,
) -> Script:
    """Cut a chat template into a script with a turn of the user for each step.

    Args:
        model: The model with the template.
        name: Name of the format, for the error.
        opening: Messages up to the first step, with ``PLACEHOLDER`` and ``FIRST``.
        answer: The assistant's answer to every earlier step.
        is_joined: The text between the question and the first step is tokenized with that step.

    Raises:
        UsageError: the template changes earlier turns, so steps cannot be appended.
    """
    turn: list[Message] = [{"role": "assistant", "content": answer}, {"role": "user", "content": LATER}]
    first = render(model, opening)
    later = render(model, [*opening, *turn])
    if not later.startswith(first + answer) or PLACEHOLDER not in first or FIRST not in first:
        raise not_a_prm(model, name, "its chat template rewrites earlier turns")
    head, _, rest = first.partition(PLACEHOLDER)
    middle, _, tail = rest.partition(FIRST)
    before, _, behind = later[len(first) :].partition(LATER)
    middle, lead = ("", middle) if is_joined else (middle, "")
    return Script(head, Around("", middle), Around("", tail, lead), Around(before, behind))


def single_token(model: LlamaModel, text: str, name: str) -> int:
    """The single token of a text behind other text.

    Args:
        model: The model with the vocabulary.
        text: The text.
        name: Name of the format, for the error.

    Raises:
        UsageError: the vocabulary has no such token.
    """
    tokens = model.tokenize(text, special=True, follows=True)
    if len(tokens) != 1:
        raise not_a_prm(model, name, f'its vocabulary has no token "{text}"')
    return tokens[0]


def not_a_prm(model: LlamaModel, name: str, why: str, *facts: str) -> UsageError:
    """The error for a model that is no PRM of a format."""
    hint = f"{setting('prm', 'judge=NAME')} asks an ordinary model, {setting('prm', 'none')} none"
    return UsageError(f"{model.name} is no {name} PRM: {why}", *facts, slug="not-a-prm", hint=hint)


_TEST_QUESTION = "What is 1 + 1?"
_TEST_STEP = Step("1 + 1 = 2. The answer is 2.", (), 0.0, "stop")


class Readout(Protocol):
    """Reads a score from one row of the last batch."""

    @property
    def states(self) -> bool:
        """True if the context must keep hidden states."""

    def read(self, context: LlamaContext, row: int) -> float:
        """P(good), in [0, 1]."""

    def doubt(self, context: LlamaContext, row: int) -> str:
        """Evidence that the model was not trained as such a PRM; empty without evidence."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A PRM format bound to a model: its text, and the readout of its score.

    Attributes:
        name: Name of the format.
        script: The text.
        readout: Readout at the last token of a step.
    """

    name: str
    script: Script
    readout: Readout


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * logit))


class StepPRM:
    """Scores steps with a GGUF model; implements ``engine.ports.RewardModel``.

    Args:
        context: A context that keeps states if the readout reads them; the scorer uses its first sequence.
        adapter: Text and readout.
        cache: Parked prefixes of this context.
    """

    def __init__(self, context: LlamaContext, adapter: Adapter, cache: PrefixCache) -> None:
        self._context = context
        self._model = context.model
        self._adapter = adapter
        self._cache = cache
        self._rewards: dict[Tokens, float] = {}
        self._questions: dict[str, Tokens] = {}

    @property
    def flops_per_token(self) -> float:
        """2 x the active parameters of the PRM."""
        return self._model.flops_per_token

    def score(self, prefixes: Sequence[Prefix]) -> list[Score]:
        """P(good) of the last step of each prefix, in [0, 1]; by ``SequenceLogprob`` outside of prose.

        Raises:
            ContextOverflowError: a solution is longer than the PRM's window; nothing was evaluated.
        """
        # PRMs are trained on solutions in prose, and calibrations have no PRM scores of other texts.
        texts = [
            None
            if prefix.mode != "prose" or entry_of(prefix.problem).is_reply
            else self._text_that_fits(prefix)
            for prefix in prefixes
        ]
        scores = SequenceLogprob().score(prefixes)
        for index, (prefix, text) in enumerate(zip(prefixes, texts, strict=True)):
            if text is None:
                continue
            evaluated, tokens = 0, text[0]
            if tokens not in self._rewards:
                evaluated, row = self._read(*text, keep=prefix.steps[-1].finish == "step")
                self._rewards[tokens] = self._adapter.readout.read(self._context, row)
            scores[index] = Score(self._rewards[tokens], evaluated)
        return scores

    def close_problem(self, problem: Problem) -> None:
        """Drop a problem's prefixes and scores, unless another open problem has the same question."""
        question = self._questions.pop(problem.id, None)
        if question is None or question in self._questions.values():
            return
        self._cache.drop_below(question)
        self._cache.drop(question)
        if not self._questions:
            self._context.reset()
        for tokens in [tokens for tokens in self._rewards if tokens[: len(question)] == question]:
            del self._rewards[tokens]

    def self_test(self) -> None:
        """Score a trivially right step.

        Raises:
            UsageError: the score shows that the model is no PRM of the format.
            ContextOverflowError: the step does not fit into the window.
        """
        problem = Problem("self-test", _TEST_QUESTION)
        name, readout = self._adapter.name, self._adapter.readout
        _, row = self._read(*self._text_that_fits(Prefix(problem, (_TEST_STEP,))), keep=False)
        doubt = readout.doubt(self._context, row)
        if not math.isfinite(readout.read(self._context, row)):
            doubt = "its score is not a number"
        if doubt:
            raise not_a_prm(self._model, name, doubt, f'it read "{_TEST_QUESTION} {_TEST_STEP.text}"')
        self.close_problem(problem)

    def _text_that_fits(self, prefix: Prefix) -> tuple[Tokens, tuple[int, ...]]:
        """All tokens of a prefix, and the lengths at which it may be parked.

        It remembers the problem's question for ``close_problem``.
        """
        tokens, ends = self._adapter.script.tokens(self._model, prefix)
        self._questions[prefix.problem.id] = tokens[: ends[1]]
        window = self._context.window
        if len(tokens) > window:
            raise ContextOverflowError(
                f"the PRM reads {len(tokens):,} tokens here, its window is {window:,}",
                hint=f"a larger {setting('ctx_size')}, a shorter question, or a PRM with a longer window",
            )
        return tokens, ends

    def _read(self, tokens: Tokens, ends: Sequence[int], *, keep: bool) -> tuple[int, int]:
        """Evaluate the tokens that are not parked; returns their number, and the row of the last.

        Args:
            tokens: All tokens of a prefix.
            ends: Lengths at which it may be parked.
            keep: Park the whole prefix for later steps.
        """
        parked = self._cache.longest(tokens, ends)
        evaluated = len(tokens) - self._cache.restore(self._context, 0, [(parked, len(parked))])
        # All questions share the head, and all solutions the question: these two are pinned.
        for end in ends[:2]:
            if len(parked) < end < len(tokens):
                self._context.evaluate(0, len(parked), tokens[len(parked) : end])
                parked = tokens[:end]
                self._cache.put(parked, self._context.snapshot(0), pin=True)
        row = self._context.evaluate(0, len(parked), tokens[len(parked) :])
        if keep:
            self._cache.put(tokens, self._context.snapshot(0))
        return evaluated, row
