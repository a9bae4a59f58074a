"""Why llama.cpp refused to load a model or to make a context, from what it logged."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adascale.engine.errors import MemoryOverflowError, ModelCorruptError, ModelError, excerpt, setting

from ..files.gguf.header import TOO_NEW

# What llama.cpp logs, and how it is said to a user; the first match counts.
_LOAD_FAILURES = (
    (r"unknown model architecture: '(.*)'", 'uses the architecture "{}" that this llama.cpp does not know'),
    (r"unknown pre-tokenizer type: '(.*)'", 'uses the tokenizer "{}" that this llama.cpp does not know'),
    (r"GGUF file is version (\d+)", TOO_NEW),
    (r"invalid magic|failed to read magic", "is not a GGUF file"),
    (r"not within the file bounds|wrong number of tensors", "is incomplete"),
)
_CAUSE = re.compile(r"error|fail|invalid|missing|not found|duplicate|unsupported", re.IGNORECASE)
_NO_MEMORY = re.compile(r"unable to allocate|failed to allocate|out of memory", re.IGNORECASE)


def explain_load_failure(log_lines: Sequence[str], file: str) -> ModelError | MemoryOverflowError:
    """The error that llama.cpp's log accounts for, after it refused to load a model or make a context.

    Args:
        log_lines: The last lines llama.cpp logged, oldest first.
        file: Name of the file that was being loaded.
    """
    log = "\n".join(log_lines)
    for pattern, words in _LOAD_FAILURES:
        if found := re.search(pattern, log):
            return ModelCorruptError(f"{file} {words.format(*map(excerpt, found.groups()))}")
    refused = [line.strip() for line in log_lines if _NO_MEMORY.search(line)]
    if refused:
        hint = f"a smaller {setting('ctx_size')}, fewer {setting('samples')} or a smaller model needs less"
        return MemoryOverflowError(f"llama.cpp got no memory for {file}", refused[0], hint=hint)
    lines = [excerpt(line) for line in log_lines if line.strip()]
    causes = [line for line in lines if _CAUSE.search(line)]
    return ModelError(f"llama.cpp cannot load {file}", *(causes or lines)[-4:], slug="load-failed")
