"""A grammar of llama.cpp for one branch: which tokens may come next."""

from __future__ import annotations

import ctypes
import weakref

import llama_cpp.llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from adascale.engine.errors import UsageError

from ..machine import without_stderr
from .context import FloatArray
from .model import LlamaModel
from .sampling import TOKEN_DATA

_LIKELY = 512
"""Likeliest tokens, which are tried first: inside a text nearly all of them are allowed."""

Ids = NDArray[np.intp]


class Grammar:
    """The state of a grammar behind what was written so far.

    Args:
        model: Has the vocabulary.
        gbnf: The grammar; its root is called ``root``.

    Raises:
        UsageError: llama.cpp cannot read it, as one that repeats a rule too often.
    """

    def __init__(self, model: LlamaModel, gbnf: str) -> None:
        with without_stderr():  # it prints a grammar that it cannot read, with the names and values in it
            handle = C.llama_sampler_init_grammar(model.vocab, gbnf.encode(), b"root")
        if not handle:
            raise UsageError(
                "the schema cannot be made a grammar", hint="a simpler schema", slug="bad-schema"
            )
        weakref.finalize(self, C.llama_sampler_free, handle)
        self._handle = handle
        self._model = model
        self._end = int(C.llama_vocab_eos(model.vocab))

    @property
    def is_complete(self) -> bool:
        """True if the text may end here; nothing may follow the closing brace of a call."""
        return self.allows(self._end)

    def allows(self, token: int) -> bool:
        """True if a token may come next."""
        return len(self._allowed(np.array([token]))) > 0

    def masked(self, logits: FloatArray, most: int) -> FloatArray:
        """``[vocab_size]``: the largest logits of tokens that may come next, and -inf for all others.

        Trying 150,000 tokens takes 10 to 20 ms, so the likeliest are tried first. Only if too few of them are
        allowed, all others are whose first byte may come next.

        Args:
            logits: ``[vocab_size]``.
            most: How many are needed.
        """
        likely = min(_LIKELY, len(logits))
        tokens = self._allowed(np.flatnonzero(logits >= np.partition(logits, -likely)[-likely]))
        if len(tokens) < most:
            tokens = self._allowed(self._possible())
        found = np.full_like(logits, -np.inf)
        found[tokens] = logits[tokens]
        return found

    def accept(self, token: int) -> None:
        """Take an allowed token as written; llama.cpp would end the process at any other."""
        C.llama_sampler_accept(self._handle, token)

    def _possible(self) -> Ids:
        """All tokens but those that begin with a byte that may not come next."""
        first_bytes, single = self._model.first_bytes
        refused = np.setdiff1d(single, self._allowed(single))
        return np.flatnonzero(~np.isin(first_bytes, first_bytes[refused]))

    def _allowed(self, tokens: Ids) -> Ids:
        """The tokens among these that may come next."""
        data = np.zeros(len(tokens), TOKEN_DATA)
        data["id"] = tokens
        array = C.llama_token_data_array(
            data=data.ctypes.data_as(C.llama_token_data_p), size=len(data), selected=-1, sorted=False
        )
        C.llama_sampler_apply(self._handle, ctypes.byref(array))
        found: Ids = tokens[np.isfinite(data["logit"])]
        return found
