"""llama.cpp, its log, abort flag and errors, and the weights and vocabulary of a GGUF file.

The high-level class of llama-cpp-python maps log levels by an old enum, silences the whole process while it
loads, and hides why a load failed; so we use only its low-level functions, with our own callbacks.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path

import llama_cpp.llama_cpp as C

from adascale.engine.errors import (
    FETCH_AGAIN,
    AdascaleError,
    DecodeAbortedError,
    DecodeError,
    MemoryOverflowError,
    ModelCorruptError,
    ModelError,
    excerpt,
    setting,
)

from ..files.gguf import GGUFInfo, read_info

log_lines: deque[str] = deque(maxlen=50)
"""The last lines of llama.cpp's log, oldest first; they explain a failed load."""

listeners: list[Callable[[str], None]] = []
"""Receive llama.cpp's log, in texts that may be parts of lines."""

_UNKNOWN = re.compile(r"unknown (model architecture|pre-tokenizer type): '(.*)'")
_CAUSE = re.compile(r"error|fail|invalid|missing|not found|duplicate|unsupported", re.IGNORECASE)
_NO_MEMORY = re.compile(r"unable to allocate|failed to allocate|out of memory", re.IGNORECASE)


@C.llama_log_callback  # type: ignore[untyped-decorator]
def _on_log(_level: int, text: bytes, _user: ctypes.c_void_p) -> None:
    line = text.decode(errors="replace")
    log_lines.append(line.rstrip("\n"))
    for listener in tuple(listeners):
        listener(line)


@functools.cache
def initialise() -> None:
    """Start the backend and redirect its log, once per process."""
    C.llama_log_set(_on_log, ctypes.c_void_p(0))
    C.llama_backend_init()


def layers_to_offload(layers: int | None) -> int:
    """``layers``, or all (-1) for None; 0 if this build has no GPU support."""
    if not C.llama_supports_gpu_offload():
        return 0
    return -1 if layers is None else layers


def trim_heap() -> None:
    """Return freed memory to the system; glibc keeps pieces of it between allocations."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class AbortFlag:
    """A flag that llama.cpp reads between graph nodes, set from any thread or signal handler.

    The C callback is libc's ``strlen`` over two bytes: 0 while the first is zero, 1 once it is set. A Python
    callback would take the interpreter's lock several hundred times in every decode.
    """

    def __init__(self) -> None:
        self._bytes = ctypes.create_string_buffer(2)
        self.data = ctypes.cast(self._bytes, ctypes.c_void_p)
        libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        strlen = ctypes.cast(libc.strlen, ctypes.c_void_p).value
        self.callback = C.ggml_abort_callback(strlen or 0)

    def set(self) -> None:
        """Stop the running decode and later ones."""
        self._bytes[0] = b"\x01"

    def clear(self) -> None:
        """Allow decodes again."""
        self._bytes[0] = b"\x00"

    def __bool__(self) -> bool:
        return self._bytes[0] != b"\x00"


def explain_load_failure(file: str) -> ModelError | MemoryOverflowError:
    """The error in ``log_lines``, after llama.cpp failed to load a model or to make a context.

    Args:
        file: Name of the model's file.
    """
    if unknown := _UNKNOWN.search("\n".join(log_lines)):
        return ModelCorruptError(
            f'{file} has the {unknown[1]} "{excerpt(unknown[2])}", which this llama.cpp lacks',
            f"it is part of llama-cpp-python {metadata.version('llama-cpp-python')}",
            hint="pip install --upgrade llama-cpp-python",
            slug="unknown-architecture",
        )
    refused = [line.strip() for line in log_lines if _NO_MEMORY.search(line)]
    if refused:
        hint = f"a smaller {setting('ctx_size')}, fewer {setting('samples')} or a smaller model needs less"
        return MemoryOverflowError(f"llama.cpp got no memory for {file}", refused[0], hint=hint)
    lines = [excerpt(line) for line in log_lines if line.strip()]
    causes = [line for line in lines if _CAUSE.search(line)]
    return ModelError(
        f"llama.cpp cannot load {file}", *(causes or lines)[-4:], hint=FETCH_AGAIN, slug="load-failed"
    )


def decode_error(code: int, tokens: int) -> AdascaleError | None:
    """Our error for a return code of ``llama_decode``; None for 0.

    llama.h: 0 success, 1 no KV slot, 2 aborted, -1 invalid batch; any other code is fatal.
    """
    if code == 2:
        return DecodeAbortedError("the decode was stopped")
    text = f"llama.cpp failed to evaluate {tokens} tokens (code {code})"
    return DecodeError(text, *list(log_lines)[-2:]) if code else None


MAX_TOKEN_BYTES = 256
"""Most bytes of a token, except for lines of signs in some vocabularies."""

_LONGEST_PIECE = 4096

_ANCHOR = "\x01"
"""Never part of a longer token, so a text behind it is tokenized as in the middle of a text."""


class LlamaModel:
    """Weights and vocabulary of one GGUF file.

    Args:
        path: The file.
        gpu_layers: Layers to offload; -1 for all.
        info: Header of the file, if it was read before.
        name: Its name in messages; empty for the name of the file.

    Raises:
        ModelCorruptError: the file is torn or no GGUF.
        MemoryOverflowError: the weights do not fit into memory.

    Attributes:
        info: Header of the file.
        sliding_window: Window of the layers with sliding attention, in tokens; 0 without such layers.
        is_recurrent: Some layers have a running state, so that no sequence can be cut back.
    """

    def __init__(self, path: Path, gpu_layers: int = 0, info: GGUFInfo | None = None, name: str = "") -> None:
        initialise()
        log_lines.clear()
        params = C.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        self.path = path
        self.name = name or path.name
        handle = C.llama_model_load_from_file(os.fsencode(path), params)
        if not handle:
            raise explain_load_failure(self.name)
        self.handle = handle
        self._stack = ExitStack()
        self._stack.callback(C.llama_model_free, handle)
        self.vocab = C.llama_model_get_vocab(handle)
        self.vocab_size: int = C.llama_vocab_n_tokens(self.vocab)
        self.width: int = C.llama_model_n_embd(handle)
        self.sliding_window: int = C.llama_model_n_swa(handle)
        self.is_recurrent: bool = C.llama_model_is_recurrent(handle) or C.llama_model_is_hybrid(handle)
        self.gpu_layers = gpu_layers
        self.info = info or read_info(path)
        self._pieces: dict[int, bytes] = {}

    def close(self) -> None:
        """Free the weights; close every context of the model first."""
        self._stack.close()

    @property
    def flops_per_token(self) -> float:
        """2 x the active parameters, without the attention over the context."""
        return 2.0 * self.info.active_parameters

    @functools.cached_property
    def bos(self) -> int | None:
        """First token of every sequence; None if the vocabulary has no such token."""
        return C.llama_vocab_bos(self.vocab) if C.llama_vocab_get_add_bos(self.vocab) else None

    def token_text(self, token: int) -> str:
        """The vocabulary's own spelling, also of a control token; empty for no token (-1)."""
        return C.llama_vocab_get_text(self.vocab, token).decode("utf-8", "replace") if token >= 0 else ""

    @property
    def special_texts(self) -> dict[str, str]:
        """``bos_token`` and ``eos_token`` as chat templates expect them."""
        return {
            "bos_token": self.token_text(C.llama_vocab_bos(self.vocab)),
            "eos_token": self.token_text(C.llama_vocab_eos(self.vocab)),
        }

    @property
    def end_of_turn(self) -> int:
        """Token behind a whole reply."""
        token = C.llama_vocab_eot(self.vocab)
        return int(C.llama_vocab_eos(self.vocab) if token < 0 else token)

    def tokenize(self, text: str, *, special: bool, follows: bool = False) -> list[int]:
        """Token ids of a text, without BOS.

        Args:
            text: The text.
            special: Read control tokens in it as such.
            follows: The text stands behind other text. SentencePiece puts a space before a text otherwise.

        Raises:
            ModelCorruptError: the vocabulary lacks a character of it, for which llama.cpp returns token -1.
        """
        if follows and C.llama_vocab_type(self.vocab) == C.LLAMA_VOCAB_TYPE_SPM:
            before = self.tokenize(_ANCHOR, special=False)
            return self.tokenize(_ANCHOR + text, special=special)[len(before) :]
        data = text.encode(errors="replace")
        buffer = (C.llama_token * (len(data) + 8))()  # a text has at most one token per byte
        count = C.llama_tokenize(self.vocab, data, len(data), buffer, len(buffer), False, special)
        tokens: list[int] = buffer[:count]
        if min(tokens, default=0) < 0:
            raise ModelCorruptError(f"the vocabulary of {self.name} cannot spell a text", hint=FETCH_AGAIN)
        return tokens

    def piece(self, token: int) -> bytes:
        """Bytes of one token; empty for control tokens. A character may span several tokens."""
        if token not in self._pieces:
            buffer = ctypes.create_string_buffer(_LONGEST_PIECE)
            length = C.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, False)
            assert length >= 0, "a longer token"
            self._pieces[token] = buffer.raw[:length]
        return self._pieces[token]

    def spell_out(self, tokens: Iterable[int]) -> None:
        """Let ``piece`` return the spelling of these tokens, even of control tokens."""
        for token in tokens:
            self._pieces[token] = self.piece(token) or self.token_text(token).encode()

    def is_end(self, token: int) -> bool:
        """True if the token ends a turn."""
        return bool(C.llama_vocab_is_eog(self.vocab, token))
