"""Questions that are handed on to another server, for commands that wait for its answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from adascale.models.options import FallbackOptions

from ..disk.files import read_text
from ..options.declare import env, read_api_key

if TYPE_CHECKING:
    from adascale.engine.search.record import Record
    from adascale.engine.types import Notice
    from adascale.models.fallback import Fallback, FallbackAnswer

_KEY = env("fallback_key")


def open_fallback(options: FallbackOptions) -> Fallback | None:
    """The server that was chosen; None without one.

    Raises:
        UsageError: its URL or key cannot be used.
    """
    key = os.environ.pop(_KEY, None)  # no process of ours inherits it
    if options.url is None:
        return None
    from adascale.models.fallback import Fallback

    key = read_text(options.key_file) if options.key_file is not None else key
    known = None if key is None else read_api_key(key, f"-o fallback_key_file FILE, or {_KEY},")
    return Fallback(options, known)


def hand_on(fallback: Fallback | None, record: Record) -> FallbackAnswer | Notice | None:
    """The answer of the other server, or why there is none; None where the question is not for it."""
    if fallback is None or not fallback.is_for(record):
        return None
    import asyncio

    return asyncio.run(fallback.ask(record.started.problem))
