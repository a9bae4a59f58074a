"""A while without stderr, of native code too."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()


@contextmanager
def without_stderr() -> Iterator[None]:
    """Let this process, and children that it starts meanwhile, print nothing to stderr."""
    with _lock:  # or one of two threads would keep what the other has put there
        kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(nothing)
            os.close(kept)
