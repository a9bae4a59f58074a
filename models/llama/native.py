"""The seam to the llama.cpp library: its log, its abort flag, its errors.

llama-cpp-python's high-level class maps log levels by an old enum, mutes the whole process while it loads and
hides why a load failed; so only its low-level functions are used, with our own callbacks.
"""

from __future__ import annotations

import ctypes
import functools
import re
import sys
from collections import deque
from collections.abc import Callable

import llama_cpp.llama_cpp as C

from adascale.engine.errors import (
    FETCH_AGAIN,
    AdascaleError,
    DecodeAbortedError,
    DecodeError,
    MemoryOverflowError,
    ModelCorruptError,
    ModelError,
    NoKVSlotError,
    excerpt,
    setting,
)

# ggml.h: NONE 0, DEBUG 1, INFO 2, WARN 3, ERROR 4, CONT 5 (goes on with the line before).
_CONT = 5

log_lines: deque[str] = deque(maxlen=50)
"""The last lines that llama.cpp logged, oldest first; a failed load is explained from them."""

listeners: list[Callable[[str], None]] = []
"""Also get what llama.cpp logs, in texts that may be parts of lines."""

# Patterns of llama.cpp's log, and how they are told to a user; the first match counts. What
# `files.gguf` finds is refused before; it does not know the size of every type of tensor.
_LOAD_FAILURES = (
    (r"unknown model architecture: '(.*)'", 'uses the architecture "{}" that this llama.cpp does not know'),
    (r"unknown pre-tokenizer type: '(.*)'", 'uses the tokenizer "{}" that this llama.cpp does not know'),
    (r"not within the file bounds|wrong number of tensors", "is incomplete"),
)
_CAUSE = re.compile(r"error|fail|invalid|missing|not found|duplicate|unsupported", re.IGNORECASE)
_NO_MEMORY = re.compile(r"unable to allocate|failed to allocate|out of memory", re.IGNORECASE)


@C.llama_log_callback  # type: ignore[untyped-decorator]
def _on_log(level: int, text: bytes, _user: ctypes.c_void_p) -> None:
    line = text.decode("utf-8", errors="replace")
    if level == _CONT and log_lines:
        log_lines[-1] += line.rstrip("\n")
    else:
        log_lines.append(line.rstrip("\n"))
    for listener in tuple(listeners):
        listener(line)


@functools.cache
def initialise() -> None:
    """Start the backend and take over its log, once per process."""
    C.llama_log_set(_on_log, ctypes.c_void_p(0))
    C.llama_backend_init()


def layers_to_offload(wanted: int | None) -> int:
    """``wanted``, or all (-1) for None; 0 if this build has no GPU support."""
    if not C.llama_supports_gpu_offload():
        return 0
    return -1 if wanted is None else wanted


def trim_heap() -> None:
    """Give freed memory back to the system, which glibc keeps in pieces between what is in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class AbortFlag:
    """A flag that llama.cpp reads between graph nodes, set from any thread or signal handler.

    The C callback is libc's ``strlen`` over two bytes: 0 while the first is zero, 1 once it is set. A Python
    callback would take the interpreter lock several hundred times in every decode.
    """

    def __init__(self) -> None:
        self._bytes = ctypes.create_string_buffer(2)
        self.data = ctypes.cast(self._bytes, ctypes.c_void_p)
        libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        strlen = ctypes.cast(libc.strlen, ctypes.c_void_p).value
        self.callback = C.ggml_abort_callback(strlen or 0)

    def set(self) -> None:
        """Ask the running decode to stop."""
        self._bytes[0] = b"\x01"

    def clear(self) -> None:
        """Let decodes run again."""
        self._bytes[0] = b"\x00"

    def __bool__(self) -> bool:
        return self._bytes[0] != b"\x00"


def explain_load_failure(file: str) -> ModelError | MemoryOverflowError:
    """The error that ``log_lines`` account for, after llama.cpp refused to load a model or make a context.

    Args:
        file: Name of the file that was being loaded.
    """
    log = "\n".join(log_lines)
    for pattern, words in _LOAD_FAILURES:
        if found := re.search(pattern, log):
            return ModelCorruptError(
                f"{file} {words.format(*map(excerpt, found.groups()))}", hint=FETCH_AGAIN
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

    llama.h: 0 success, 1 no KV slot, 2 aborted, -1 invalid batch, any other code is fatal.
    """
    if code == 0:
        return None
    if code == 1:
        return NoKVSlotError(
            f"the KV cache has no room for {tokens} more tokens", hint=f"use a larger {setting('ctx_size')}"
        )
    if code == 2:
        return DecodeAbortedError("the decode was stopped")
    if code == -1:
        return DecodeError(f"llama.cpp refused a batch of {tokens} tokens as invalid", *_last_lines())
    return DecodeError(f"llama.cpp failed to evaluate {tokens} tokens (code {code})", *_last_lines())


def _last_lines() -> tuple[str, ...]:
    return tuple(list(log_lines)[-2:])
