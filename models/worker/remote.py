"""A search in the worker of a running server, over HTTP.

The other side is ``adascale.serve.protocols.event_stream``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2

from adascale.engine.errors import (
    AdascaleError,
    ModelNotFoundError,
    ModelUnavailableError,
    TraceError,
    UsageError,
    WorkerDiedError,
    command,
    setting,
)
from adascale.engine.search.events import (
    SCHEMA,
    Event,
    SearchFailed,
    SearchFinished,
    SearchStarted,
    from_json,
)

_TIMEOUT = httpx2.Timeout(60.0, connect=10.0)
"""Seconds to connect, and for each piece of the stream: a silent search has a comment every two seconds."""

_LOADING_SECONDS = 1.0
"""Seconds between two requests to a server that is loading its models."""

_DATA = "data: "

_ERRORS: Mapping[int, type[AdascaleError]] = {
    400: UsageError,
    401: UsageError,
    403: UsageError,
    404: ModelNotFoundError,
    413: UsageError,
    503: ModelUnavailableError,
}
"""Errors by the status of a refusal."""


class RemoteSearch:
    """One search on a server.

    Args:
        url: URL of the server, with or without ``/v1`` at its end.
        key: API key; None for none.
        version: Version of this program.
        status: Gets a line while the server loads its models.

    Raises:
        UsageError: ``url`` is no URL.
    """

    def __init__(self, url: str, key: str | None, version: str, status: Callable[[str], None]) -> None:
        self._url = base_url(url)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._version = version
        self._status = status
        self._id = ""

    def run(self, body: dict[str, Any]) -> Iterator[Event]:
        """The events of the search; waits for the first one while the server loads its models.

        Args:
            body: Fields of ``POST /v1/searches``; None leaves one to the server.

        Raises:
            AdascaleError: the server is away, refuses, has another version, or breaks off.
        """
        with httpx2.Client(base_url=self._url, headers=self._headers, timeout=_TIMEOUT) as client:
            is_told = False
            while True:
                try:
                    with client.stream("POST", "/v1/searches", json=body) as response:
                        if response.status_code == 200:
                            yield from self._follow(response)
                            return
                        error = self._refusal(response)
                except httpx2.ConnectError as exc:
                    text = f"no server answers at {self._url}"
                    raise ModelUnavailableError(
                        text, str(exc), hint=_start_again(), slug="no-server"
                    ) from exc
                except httpx2.HTTPError as exc:
                    text = f"the connection to the server at {self._url} broke"
                    raise WorkerDiedError(text, str(exc), hint=_start_again()) from exc
                if error.slug != "loading":
                    raise error
                if not is_told:
                    self._status("The server loads its models...")
                is_told = True
                time.sleep(_LOADING_SECONDS)

    def interrupt(self) -> None:
        """End a search that has begun, with its result so far; safe from any thread."""

        def end_search() -> None:
            with suppress(httpx2.HTTPError):  # its stream tells of the trouble
                httpx2.delete(f"{self._url}/v1/searches/{self._id}", headers=self._headers, timeout=_TIMEOUT)

        # From a signal handler: nothing may be waited for here.
        threading.Thread(target=end_search, daemon=True).start()

    def _follow(self, response: httpx2.Response) -> Iterator[Event]:
        for line in response.iter_lines():
            if not line.startswith(_DATA):
                continue
            event = self._read(line.removeprefix(_DATA), response)
            if isinstance(event, SearchStarted):
                self._id = event.problem.id
            yield event
            if isinstance(event, SearchFinished | SearchFailed):
                return
        raise WorkerDiedError(f"the server at {self._url} broke off the search", hint=_start_again())

    def _read(self, line: str, response: httpx2.Response) -> Event:
        try:
            event = from_json(json.loads(line))
            if isinstance(event, SearchStarted) and event.schema != SCHEMA:
                raise TraceError(f"it writes {event.schema}, this version reads {SCHEMA}")
            return event
        except (TraceError, ValueError, AttributeError) as exc:
            theirs = response.headers.get("X-Adascale-Version", "unknown")
            raise AdascaleError(
                f"the server at {self._url} writes what this version does not read",
                f"the server is adascale {theirs}, this is {self._version}",
                str(exc),
                hint="install the same version on both sides",
                slug="server-version",
            ) from exc

    def _refusal(self, response: httpx2.Response) -> AdascaleError:
        """The error for a response with another status than 200."""
        response.read()
        status = response.status_code
        try:
            error: dict[str, Any] = response.json()["error"]
            message, code = str(error["message"]), str(error["code"])
        except (ValueError, LookupError, TypeError):
            message, code = "", ""
        if not code or (status in (404, 405) and code != "model-not-found"):
            return UsageError(
                f"{self._url} is no server of adascale {self._version} or newer",
                f"POST /v1/searches gives status {status}",
                hint=_start_again(),
                slug="no-server",
            )
        hints = {
            401: "ADASCALE_API_KEY=KEY, as the server has it",
            404: f"leave out {setting('generator')} to ask the model that is there",
            429: f"ask again in {response.headers.get('Retry-After', 'a few')} seconds",
            503: _start_again(),
        }
        return _ERRORS.get(status, AdascaleError)(message, hint=hints.get(status, ""), slug=code)


def base_url(url: str, name: str = "server") -> str:
    """Scheme, host and port of a URL that the setting ``name`` has.

    Raises:
        UsageError: the text is no URL.
    """
    base = url.strip().rstrip("/").removesuffix("/v1")
    try:
        parts = urlsplit(base)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx2.URL(base).host.encode("idna")
    except (ValueError, httpx2.InvalidURL):  # a name that cannot be looked up is a UnicodeError
        is_url = False
    if not is_url:
        raise UsageError(f'"{url}" is no URL of a server', hint=setting(name, "http://127.0.0.1:8321"))
    return base


def _start_again() -> str:
    return f"{command('serve')} starts one; without {setting('server')} this machine answers"
