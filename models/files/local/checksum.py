"""sha256 of big files, computed once: the digest is remembered with size and modification time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from adascale.engine.errors import ModelCorruptError, command

from ...storage import atomic_write, cache_folder, read_json
from ..progress import Report, Transfer
from ..validation import is_sha256, quote

_CHUNK = 1 << 22


def file_sha256(path: Path, label: str, report: Report | None = None) -> str:
    """Lowercase hex digest of a file; the second time it is looked up.

    Args:
        path: The file; links are followed.
        label: Its name in reports.
        report: Gets the progress while the file is read.
    """
    match _known_digests().get(os.path.realpath(path)):
        case [size, modified, known] if [size, modified] == _stamp(path) and is_sha256(known):
            return known
    before = _stamp(path)
    digest = _compute(path, label, report)
    if _stamp(path) == before:  # else another program was writing it
        remember(path, digest)
    return digest


def check_sha256(path: Path, expected: str, name: str, report: Report | None = None) -> str:
    """Compare a file with what was published.

    Args:
        path: The file; links are followed.
        expected: Lowercase hex digest. An empty one proves nothing, so it is refused like any other text.
        name: How to ask for the model again.
        report: Gets the progress while the file is read.

    Returns:
        Its digest.

    Raises:
        ModelCorruptError: It is another one than expected, or ``expected`` is no digest.
    """
    if not is_sha256(expected):
        raise ModelCorruptError(
            f"{name} has no checksum that it could be checked against",
            f"sha256 expected {quote(expected)}, not 64 lowercase hex digits",
            hint=command("models", "pull", name, force=True),
            slug="bad-checksum",
        )
    digest = file_sha256(path, name, report)
    if digest != expected:
        raise ModelCorruptError(
            f"{name} is not the file that was published",
            f"sha256 expected {expected}",
            f"sha256 found    {digest}",
            hint=command("models", "pull", name, force=True),
            slug="bad-checksum",
        )
    return digest


def remember(path: Path, digest: str) -> None:
    """Note a digest that was just computed; a memory that cannot be written only costs time later."""
    entries = {name: entry for name, entry in _known_digests().items() if os.path.exists(name)}
    entries[os.path.realpath(path)] = [*_stamp(path), digest]
    with contextlib.suppress(OSError), atomic_write(_digests_path()) as file:
        file.write(json.dumps(entries, indent=1).encode())


def _compute(path: Path, label: str, report: Report | None) -> str:
    total, done, digest = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if report is not None:
                report(Transfer(label, done, total, "checking"))
    return digest.hexdigest()


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _digests_path() -> Path:
    return cache_folder() / "verified.json"


def _known_digests() -> dict[str, object]:
    entries = read_json(_digests_path())
    return entries if isinstance(entries, dict) else {}
