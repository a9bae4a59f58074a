"""The model runner: it evaluates a batch of branches, and samples a token for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

from .context import FloatArray, LlamaContext, Run
from .prefixes import PrefixCache
from .sampling import Sampler, certainty, penalised
from .sequence import SampledToken, Sequence
from .stepcost import StepCosts

_PAD = (0,)


class ModelRunner:
    """Evaluates branches with llama.cpp.

    Args:
        context: The context with their KV sequences.
        cache: Cache for each evaluated prefix and its logits.
        costs: Cost of a step, by which batches are split and padded. None for one call of all sequences: then
            the numbers of a branch do not depend on the others, bit for bit, as kernels round by the shape.
        samplers: Number of sampler chains to keep: the first use of a chain is slow.
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
        """Sample from parked logits, or evaluate all pending tokens of each branch by itself."""
        for sequence in batch:
            snapshot, sequence.parked = sequence.parked, None
            if snapshot is not None and snapshot.logits is not None:
                yield sequence, self._sample(sequence, snapshot.logits, snapshot.hidden)
            else:
                row = self._context.evaluate(sequence.kv, sequence.evaluated, sequence.pending)
                yield sequence, self._sample_row(sequence, row)

    def decode(self, batch: list[Sequence]) -> Iterator[tuple[Sequence, SampledToken]]:
        """Evaluate one token of each branch in the cheapest calls, and sample."""
        at, sequences = 0, self._context.sequences
        widths = self._costs.cheapest(len(batch))[1] if self._costs else (sequences,) * bool(batch)
        for width in widths:
            part = batch[at : at + width]
            runs = [Run(sequence.kv, sequence.evaluated, sequence.pending) for sequence in part]
            # Padding needs free KV sequences, which follow the branches' sequences.
            for kv in range(at + len(part), min(at + width, sequences)):
                self._context.clear(kv)
                runs.append(Run(kv, 0, _PAD))
            for row, sequence in zip(self._context.decode(runs), part, strict=False):
                yield sequence, self._sample_row(sequence, row)
            at += width

    def _sample_row(self, sequence: Sequence, row: int) -> SampledToken:
        """Sample from the row of the branch's last token in the last batch."""
        sequence.evaluated = len(sequence.tokens)
        if sequence.evaluated == len(sequence.prefix):
            self._cache.put(sequence.prefix, self._context.snapshot(sequence.kv, row))
        return self._sample(sequence, self._context.logits(row), self._context.state(row))

    def _sample(self, sequence: Sequence, logits: FloatArray, state: FloatArray) -> SampledToken:
        """Sample from logits, ``[vocab_size]``, with the branch's penalties and grammar."""
        params, calls, scores = sequence.sampling, sequence.calls, logits
        if params.has_penalties:
            scores = penalised(logits, params, sequence.tokens, sequence.tokens[sequence.prompt_tokens :])
        grammar = None if calls is None else calls.grammar
        token = self._sampler(params.filters).sample(sequence.stream, scores, grammar)
        piece, is_end = self._model.piece(token), self._model.is_end(token)
        return SampledToken(token, piece, is_end, certainty(logits, token), state.copy())
