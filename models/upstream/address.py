"""The address of a model behind a server: ``http(s)://host:port[/v1][#name]``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from adascale.engine.errors import UsageError

KEY_VARIABLE = "ADASCALE_UPSTREAM_KEY"
"""Name of the environment variable with the key of a server."""

LOCAL_PORTS: Iterable[int] = (11434, 1234, 8080, 8000, 30000, 8321)
"""Ports on which Ollama, LM Studio, llama-server, vLLM, SGLang and adascale listen by default."""

HUB_HOST = r"(?:www\.)?(?:hf\.co|huggingface\.co)"
"""Host of the Hugging Face Hub, as a regular expression."""

_EXAMPLE = "http://127.0.0.1:11434#NAME"


def is_address(model: str) -> bool:
    """True if a model is named by the address of a server; a page of the Hub names a repository."""
    return re.match(rf"https?://(?!{HUB_HOST}/)", model, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and the model there.

    Attributes:
        url: URL of the API, without a slash at its end; it ends in ``/v1`` unless it was given a path.
        name: Name of the model there; None for the only one.
        key: API key, which is shown nowhere; None without any.
    """

    url: str
    name: str | None = None
    key: str | None = field(default=None, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, key: str | None = None) -> Self:
        """Read an address.

        Args:
            text: As a user types it.
            key: API key.

        Raises:
            UsageError: It is none, or has a password or a query, which would be shown; or the key is one
                that no HTTP header can carry.
        """
        import httpx2

        url, _, name = text.strip().partition("#")
        if "@" in url or "?" in url:
            raise UsageError(
                "the address of a server has a password or a query in it",
                hint=f"the address without it, and {KEY_VARIABLE}=KEY",
            )
        parts = httpx2.URL()
        with suppress(ValueError, httpx2.InvalidURL):  # a name that cannot be looked up is a UnicodeError
            httpx2.URL(url).host.encode("idna")
            parts = httpx2.URL(url)
        if " " in url or parts.scheme not in ("http", "https") or not parts.host or parts.port == 0:
            raise UsageError(f'"{url}" is no address of a server', hint=_EXAMPLE)
        if key is not None and not ((key := key.strip()) and key.isascii() and key.isprintable()):
            text = "the API key is empty, or has characters that no HTTP header carries"
            raise UsageError(text, hint=f"{KEY_VARIABLE}=KEY")
        path = parts.path.rstrip("/") or "/v1"
        return cls(f"{parts.scheme}://{parts.netloc.decode()}{path}", name.strip() or None, key)

    @classmethod
    def of(cls, model: str) -> Self:
        """The address of a model, with the key of the environment; errors as of ``parse``."""
        return cls.parse(model, os.environ.get(KEY_VARIABLE))

    def __str__(self) -> str:
        """The address as a user types it."""
        url = self.root if urlsplit(self.url).path == "/v1" else self.url
        return f"{url}{'' if self.name is None else f'#{self.name}'}"

    @property
    def root(self) -> str:
        """URL of the server: without ``/v1``."""
        return self.url.removesuffix("/v1")

    @property
    def server(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc

    @property
    def is_local(self) -> bool:
        """True for this machine, which no proxy reaches."""
        return re.fullmatch(r"127\..*|::1|(.*\.)?localhost", urlsplit(self.url).hostname or "") is not None
