"""llama.cpp's samplers: a chain for each set of filters; a random stream and a grammar for each branch."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence

import llama_cpp.llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from adascale.engine.errors import UsageError

from ..machine import without_stderr
from ..options import SamplingParams
from .context import FloatArray
from .model import LlamaModel

TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


def _array(data: NDArray[np.void]) -> C.llama_token_data_array:
    """A view of the data in the form of llama.cpp's samplers."""
    pointer = data.ctypes.data_as(C.llama_token_data_p)
    return C.llama_token_data_array(data=pointer, size=len(data), selected=-1, sorted=False)


class Sampler:
    """Top_k, top_p, min_p and temperature of all branches that share these numbers.

    The branches share one chain, because each chain has a buffer of the whole vocabulary whose first use
    costs as much as fifty draws. The random stream of a branch is the chain's last element during its draw.

    Args:
        vocab_size: Entries of the vocabulary.
        filters: As ``SamplingParams.filters``.
    """

    def __init__(self, vocab_size: int, filters: tuple[int, float, float, float]) -> None:
        top_k, top_p, min_p, temperature = filters
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        weakref.finalize(self, C.llama_sampler_free, self._chain)
        for sampler in (
            C.llama_sampler_init_top_k(top_k),
            C.llama_sampler_init_top_p(top_p, 1),
            C.llama_sampler_init_min_p(min_p, 1),
            C.llama_sampler_init_temp(temperature),
        ):
            C.llama_sampler_chain_add(self._chain, sampler)
        self._last = C.llama_sampler_chain_n(self._chain)
        self._most = top_k if top_k > 0 else vocab_size
        self._ids = np.arange(vocab_size, dtype=np.int32)
        self._data = np.empty(vocab_size, TOKEN_DATA)

    def sample(self, stream: Stream, logits: FloatArray, grammar: Grammar | None = None) -> int:
        """Draw a token from logits, ``[vocab_size]``, under a grammar if there is one.

        A draw from 150,000 logits takes .15 ms, and the grammar allows most of them. If it does not, a second
        draw needs only the largest allowed logits: top_k is the first filter.
        """
        token = self._draw(stream, logits)
        if grammar is not None:
            if not grammar.allows(token):
                token = self._draw(stream, grammar.masked(logits, self._most))
            grammar.accept(token)
        return token

    def _draw(self, stream: Stream, logits: FloatArray) -> int:
        self._data["id"] = self._ids
        self._data["logit"] = logits
        array = _array(self._data)
        C.llama_sampler_chain_add(self._chain, stream.handle)
        try:
            C.llama_sampler_apply(self._chain, ctypes.byref(array))
            token = int(array.data[array.selected].id)
            C.llama_sampler_accept(self._chain, token)
        finally:  # else the chain would free the stream too
            C.llama_sampler_chain_remove(self._chain, self._last)
        return token


_RECENT = 64
"""Tokens to which the repeat penalty applies, the prompt's included, as in llama.cpp and Ollama."""


def penalised(
    logits: FloatArray, params: SamplingParams, tokens: Sequence[int], solution: Sequence[int]
) -> FloatArray:
    """A copy of logits with the penalties and the bias of a sampler.

    Args:
        logits: Logits of the next token, ``[vocab_size]``.
        params: The sampler.
        tokens: All tokens before it.
        solution: The generated tokens, to which presence and frequency penalties apply
            (https://platform.openai.com/docs/api-reference/chat: both are subtracted from the logits).
    """
    scores = logits.copy()
    recent = np.unique(np.asarray(tokens[-_RECENT:], np.int64))
    near = scores[recent]
    scores[recent] = np.where(near > 0, near / params.repeat_penalty, near * params.repeat_penalty)
    repeated, times = np.unique(np.asarray(solution, np.int64), return_counts=True)
    scores[repeated] -= (params.presence_penalty + params.frequency_penalty * times).astype(np.float32)
    for token, bias in params.logit_bias:
        if token < len(scores):  # ids of another vocabulary have no meaning here
            scores[token] += bias
    return scores


class Stream:
    """The random numbers of one branch; without a seed it takes the most likely token."""

    def __init__(self, seed: int | None) -> None:
        self.handle = C.llama_sampler_init_greedy() if seed is None else C.llama_sampler_init_dist(seed)
        weakref.finalize(self, C.llama_sampler_free, self.handle)


def certainty(logits: FloatArray, token: int) -> tuple[float, float]:
    """Certainty about a token drawn from ``logits``, ``[vocab_size]``, under the full softmax, in nats.

    Returns:
        The logarithm of the token's probability, and the entropy of the whole distribution.
    """
    peak = np.max(logits)
    weights = np.exp(logits - peak)
    total = weights.sum()
    normaliser = peak + np.log(total)
    # H = log Z - E[logit]
    expected = np.dot(weights, logits) / total
    return float(logits[token] - normaliser), float(normaliser - expected)


_LIKELY = 512
"""Number of the likeliest tokens, which are tried first: inside a text nearly all of them are allowed."""

Ids = NDArray[np.intp]


class Grammar:
    """A grammar and its state behind the text so far.

    Args:
        model: The model with the vocabulary.
        gbnf: The grammar; its root is called ``root``.

    Raises:
        UsageError: llama.cpp cannot read it, for example because it repeats a rule too often.
    """

    def __init__(self, model: LlamaModel, gbnf: str) -> None:
        with without_stderr():  # llama.cpp prints a grammar that it cannot read, private names included
            handle = C.llama_sampler_init_grammar(model.vocab, gbnf.encode(), b"root")
        if not handle:
            raise UsageError(
                "the schema cannot be made a grammar", hint="a simpler schema", slug="bad-schema"
            )
        weakref.finalize(self, C.llama_sampler_free, handle)
        self._handle = handle
        self._end = int(C.llama_vocab_eos(model.vocab))

    @property
    def is_complete(self) -> bool:
        """True if the text may end here."""
        return self.allows(self._end)

    def allows(self, token: int) -> bool:
        """True if a token may come next."""
        return len(self._allowed(np.array([token]))) > 0

    def masked(self, logits: FloatArray, most: int) -> FloatArray:
        """``[vocab_size]``: the largest logits of allowed tokens, and -inf for all others.

        A test of 150,000 tokens takes 10 to 20 ms, so the likeliest are tested first, and all only if too few
        of them are allowed.

        Args:
            logits: ``[vocab_size]``.
            most: Number of allowed tokens that the caller needs.
        """
        likely = min(_LIKELY, len(logits))
        tokens = self._allowed(np.flatnonzero(logits >= np.partition(logits, -likely)[-likely]))
        if len(tokens) < most:
            tokens = self._allowed(np.arange(len(logits)))
        masked = np.full_like(logits, -np.inf)
        masked[tokens] = logits[tokens]
        return masked

    def accept(self, token: int) -> None:
        """Advance by an allowed token; llama.cpp aborts the process at any other."""
        C.llama_sampler_accept(self._handle, token)

    def _allowed(self, tokens: Ids) -> Ids:
        """The allowed tokens among these."""
        data = np.zeros(len(tokens), TOKEN_DATA)
        data["id"] = tokens
        array = _array(data)
        C.llama_sampler_apply(self._handle, ctypes.byref(array))
        allowed: Ids = tokens[np.isfinite(data["logit"])]
        return allowed
