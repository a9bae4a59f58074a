"""Which package index the user has set up for pip or uv, and how to reach it.

Neither tool has to be installed. Environment variables win over files, pip's over uv's; within pip's
files the later and more special one wins, as in pip.
"""

from __future__ import annotations

import configparser
import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adascale.engine.errors import ModelUnavailableError

if TYPE_CHECKING:
    import ssl

_PUBLIC = "https://pypi.org/simple"
_SYSTEM_FILES = (Path("/Library/Application Support/pip/pip.conf"), Path("/etc/pip.conf"))


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What is needed to talk to the user's indexes.

    Attributes:
        urls: Simple-API roots, to be asked in this order; may hold ``user:password@``.
        ca_file: Certificates to trust instead of the usual ones.
    """

    urls: tuple[str, ...]
    ca_file: str | None

    def tls(self) -> ssl.SSLContext | bool:
        """What httpx2 takes as ``verify``.

        Raises:
            ModelUnavailableError: The certificates cannot be read.
        """
        import ssl

        if self.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            hint = "see PIP_CERT, SSL_CERT_FILE and cert in pip.conf"
            raise ModelUnavailableError(
                f"cannot read the certificates {self.ca_file}", str(error), hint=hint
            ) from error


def index_settings() -> IndexSettings:
    """Read the settings of this user on this machine."""
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
    unique = dict.fromkeys(_without_name(url).rstrip("/") for url in urls)
    return IndexSettings(tuple(unique), next((path for path in certificates if path), None))


def _without_name(url: str) -> str:
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
