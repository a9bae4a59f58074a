"""sha256 of big files, computed once: the digest is remembered with size and modification time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from adascale.engine.errors import ModelCorruptError, command

from ..storage import atomic_write, cache_folder, read_json
from .progress import Report, Transfer

_CHUNK = 1 << 22


def file_sha256(path: Path, label: str, report: Report | None = None) -> str:
    """Compute the digest of a file, or look it up if the file has not changed since it was computed.

    Args:
        path: The file; links are followed.
        label: Name of the file in reports.
        report: Called with the progress while the file is read.

    Returns:
        64 lowercase hex digits.
    """
    stamp = _stamp(path)
    match _known_digests().get(os.path.realpath(path)):
        case [*known, str(digest)] if known == stamp:
            return digest
    done, sha256 = 0, hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            done += len(chunk)
            if report is not None:
                report(Transfer(label, done, stamp[0], "checking"))
    if _stamp(path) == stamp:  # else another program was writing it
        remember(path, sha256.hexdigest())
    return sha256.hexdigest()


def check_sha256(path: Path, expected: str, name: str, report: Report | None = None) -> str:
    """Compute the digest of a file, and compare it with the one that was published.

    Args:
        path: The file; links are followed.
        expected: Published digest, 64 lowercase hex digits; empty if it is unknown.
        name: Reference to the model, for the message and the command that fetches it again.
        report: Called with the progress while the file is read.

    Returns:
        The digest.

    Raises:
        ModelCorruptError: The digests differ.
    """
    digest = file_sha256(path, name, report)
    if expected and digest != expected:
        raise ModelCorruptError(
            f"{name} is not the file that was published",
            f"sha256 expected {expected}",
            f"sha256 found    {digest}",
            hint=command("pull", name, "--force"),
            slug="bad-checksum",
        )
    return digest


def remember(path: Path, digest: str) -> None:
    """Note a digest that was just computed; if the note cannot be written, it is computed again later."""
    entries = {name: entry for name, entry in _known_digests().items() if os.path.exists(name)}
    entries[os.path.realpath(path)] = [*_stamp(path), digest]
    with contextlib.suppress(OSError), atomic_write(_digests_path()) as file:
        file.write(json.dumps(entries, indent=1).encode())


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _digests_path() -> Path:
    return cache_folder() / "verified.json"


def _known_digests() -> dict[str, Any]:
    entries = read_json(_digests_path())
    return entries if isinstance(entries, dict) else {}
