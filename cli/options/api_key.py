"""The API key of ``serve`` and of ``ask --server``."""

from __future__ import annotations

from adascale.engine.errors import UsageError


def read_api_key(text: str, source: str) -> str:
    """The key without the white space around it.

    Args:
        text: What holds it.
        source: What to set for a key, as a user types it.

    Raises:
        UsageError: it is empty, or no HTTP header can carry it.
    """
    key = text.strip()
    if not key:
        raise UsageError("the API key is empty", hint=f"{source} with a key in it")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            "the API key has characters that no HTTP header carries", hint="a key of ASCII letters and digits"
        )
    return key
