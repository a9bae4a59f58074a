"""A grammar of llama.cpp for one branch: which tokens may come next."""

from __future__ import annotations

import ctypes

import llama_cpp.llama_cpp as C
import numpy as np

from adascale.engine.errors import UsageError

from .runtime import FloatArray, LlamaModel
from .sampling import TOKEN_DATA


class Grammar:
    """The state of a grammar behind what was written so far.

    Args:
        model: Has the vocabulary.
        gbnf: The grammar; its root is called ``root``.

    Raises:
        UsageError: llama.cpp cannot read it, as one that repeats a rule too often.
    """

    def __init__(self, model: LlamaModel, gbnf: str) -> None:
        handle = C.llama_sampler_init_grammar(model.vocab, gbnf.encode(), b"root")
        if not handle:
            raise UsageError(
                "the schema cannot be made a grammar", hint="a simpler schema", slug="bad-schema"
            )
        self._handle = handle
        self._end = int(C.llama_vocab_eos(model.vocab))
        self._ids = np.arange(model.vocab_size, dtype=np.int32)

    def close(self) -> None:
        """Free it."""
        C.llama_sampler_free(self._handle)

    @property
    def is_complete(self) -> bool:
        """True if the text may end here; nothing may follow the closing brace of a call."""
        return self.allows(self._end)

    def allows(self, token: int) -> bool:
        """True if a token may come next."""
        return bool(np.isfinite(self._apply(np.array([token], np.int32), np.zeros(1, np.float32)))[0])

    def masked(self, logits: FloatArray) -> FloatArray:
        """``[vocab_size]``: the logits, with -inf for tokens that may not come next."""
        return self._apply(self._ids, logits)

    def accept(self, token: int) -> None:
        """Take an allowed token as written; llama.cpp would end the process at any other."""
        C.llama_sampler_accept(self._handle, token)

    def _apply(self, ids: np.ndarray[tuple[int], np.dtype[np.int32]], logits: FloatArray) -> FloatArray:
        data = np.zeros(len(ids), TOKEN_DATA)
        data["id"], data["logit"] = ids, logits
        array = C.llama_token_data_array(
            data=data.ctypes.data_as(C.llama_token_data_p), size=len(data), selected=-1, sorted=False
        )
        C.llama_sampler_apply(self._handle, ctypes.byref(array))
        allowed: FloatArray = data["logit"]
        return allowed
