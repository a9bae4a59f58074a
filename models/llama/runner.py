"""The model runner: it evaluates a batch of branches, and samples a token for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

from .context import FloatArray, LlamaContext, Run
from .prefixes import PrefixCache, evaluate_tokens
from .sampling import Sampler, certainty, penalised
from .sequence import SampledToken, Sequence
from .stepcost import StepCosts

_PAD = (0,)


class ModelRunner:
    """Evaluates branches with llama.cpp.

    Args:
        context: Has their KV sequences.
        cache: Gets each prefix that was evaluated, with its logits.
        costs: Cost of a step, by which a batch is split and padded. None for one call of all sequences: then
            a branch has the same numbers, bit for bit, whichever others run, as kernels round by the shape.
        samplers: Number of chains of filters that are kept: the first use of a chain is dear.
    """

    def __init__(
        self, context: LlamaContext, cache: PrefixCache, costs: StepCosts | None, samplers: int
    ) -> None:
        self._context = context
        self._model = context.model
        self._cache = cache
        self._costs = costs
        self._sampler = lru_cache(samplers)(partial(Sampler, self._model.vocab_size))

    def prefill(self, batch: list[Sequence]) -> Iterator[tuple[Sequence, SampledToken]]:
        """Sample from parked logits, or evaluate all that is pending of each branch by itself."""
        for sequence in batch:
            parked, sequence.parked = sequence.parked, None
            if parked is not None and parked.logits is not None:
                yield sequence, self._sample(sequence, parked.logits, parked.hidden)
            else:
                at = sequence.evaluated
                row = evaluate_tokens(self._context, sequence.kv, at, sequence.pending)
                yield sequence, self._sample_row(sequence, row)

    def decode(self, batch: list[Sequence]) -> Iterator[tuple[Sequence, SampledToken]]:
        """Evaluate one token of each branch that runs, in the cheapest calls, and sample."""
        at, most = 0, self._context.sequences
        widths = self._costs.cheapest(len(batch))[1] if self._costs else (most,) * bool(batch)
        for width in widths:
            part = batch[at : at + width]
            runs = [Run(each.kv, each.evaluated, each.pending) for each in part]
            # Padding may use only KV sequences that no branch has, and they begin behind the last branch.
            for kv in range(at + len(part), min(at + width, most)):
                self._context.clear(kv)
                runs.append(Run(kv, 0, _PAD))
            for row, sequence in zip(self._context.decode(runs), part, strict=False):
                yield sequence, self._sample_row(sequence, row)
            at += width

    def _sample_row(self, sequence: Sequence, row: int) -> SampledToken:
        """Sample behind all tokens of a branch, the last of which has that row of the last batch."""
        sequence.evaluated = len(sequence.tokens)
        if sequence.evaluated == len(sequence.prefix):
            self._cache.put(sequence.prefix, self._context.snapshot(sequence.kv, row))
        return self._sample(sequence, self._context.logits(row), self._context.state(row))

    def _sample(self, sequence: Sequence, logits: FloatArray, state: FloatArray) -> SampledToken:
        """Draw from logits, ``[vocab_size]``, as penalties and a grammar allow."""
        params, calls, scores = sequence.sampling, sequence.calls, logits
        if params.has_penalties:
            scores = penalised(logits, params, sequence.tokens, sequence.tokens[sequence.prompt_tokens :])
        grammar = None if calls is None else calls.grammar
        token = self._sampler(params.filters).sample(sequence.stream, scores, grammar)
        sure = certainty(logits, token)
        return SampledToken(token, self._model.piece(token), self._model.is_end(token), sure, state.copy())
