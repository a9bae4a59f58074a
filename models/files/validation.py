"""The forms of digests, commits, sizes and file names.

They come from outside (the Hub or its mirror, an index, a file in the cache) and become parts of paths and
the proof of a download, so a value of another form is refused before it is used.
"""

from __future__ import annotations

import re
import sys
from typing import TypeGuard

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 255
"""Bytes that file systems take."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_sha256(value: object) -> TypeGuard[str]:
    """Accept a digest of 64 lowercase hex digits."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def is_commit(value: object) -> TypeGuard[str]:
    """Accept the full hash of a commit: 40 lowercase hex digits."""
    return isinstance(value, str) and _COMMIT.fullmatch(value) is not None


def is_size(value: object) -> TypeGuard[int]:
    """Accept the number of bytes of a file, and no bool."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def is_file_name(value: object) -> TypeGuard[str]:
    """Accept a path with forward slashes that stays inside the folder it is put under."""
    # Unprintable are NUL, line ends, escapes, marks that turn the reading direction, and lone surrogates.
    if not isinstance(value, str) or "\\" in value or not value.isprintable():
        return False
    if sys.platform == "win32" and ":" in value:  # another drive, or another stream of the file
        return False
    parts = value.split("/")
    longest = max(len(part.encode()) for part in parts)
    return longest <= _LONGEST_NAME and all(part not in ("", ".", "..") for part in parts)


def is_one_name(value: object) -> TypeGuard[str]:
    """Accept a file name without any folder."""
    return is_file_name(value) and "/" not in value


def quote(value: object) -> str:
    """Show a refused value in a message: in quotes, escaped and at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
