"""Files that a user names and that cannot be used: said in one way, and where possible before the work."""

from __future__ import annotations

import os
from pathlib import Path

from adascale.engine.errors import UsageError


def reason_of(error: OSError) -> str:
    """Why, in the system's words: ``no such file or directory``."""
    return (error.strerror or str(error)).lower()


def unwritable(path: Path, error: OSError, hint: str = "") -> UsageError:
    """What is told of a file that could not be written."""
    usual = "name a file in a folder that exists" if isinstance(error, FileNotFoundError) else ""
    return UsageError(f"cannot write {path}: {reason_of(error)}", hint=hint or usual, slug="unwritable")


def check_writable(path: Path) -> None:
    """Refuse early what could not be written after hours of work.

    Raises:
        UsageError: it is a folder, or its own folder is not there or not to be written to.
    """
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder", slug="unwritable")
    if not path.parent.is_dir():
        raise unwritable(path, FileNotFoundError(2, f"there is no folder {path.parent}"))
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: {path.parent} takes no files", slug="unwritable")
