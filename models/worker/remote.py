"""A search in the worker of a running server, over HTTP.

The other side is ``adascale.serve.searches``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
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
from adascale.engine.strategies import ModeChoice
from adascale.engine.strategies.adaptive import Effort

_TIMEOUT = httpx2.Timeout(60.0, connect=10.0)
"""Seconds to connect, and for each piece of the stream: a silent search has a comment every two seconds."""

_LOADING_SECONDS = 1.0
"""Seconds between two requests to a server that is loading its models."""

_DATA = "data: "


@dataclass(frozen=True, slots=True)
class RemoteQuestion:
    """The body of ``POST /v1/searches``; None leaves a field to the server.

    Attributes:
        question: Plain text.
        effort: How hard to try.
        mode: How to reason.
        max_tokens: Limit of generated tokens; the server has one of its own.
        max_seconds: Limit of seconds; the server has one of its own.
        seed: Seed of the draws.
        model: Name of the model that the server has to have.
    """

    question: str
    effort: Effort | None = None
    mode: ModeChoice = "auto"
    max_tokens: int | None = None
    max_seconds: float | None = None
    seed: int | None = None
    model: str | None = None


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
        self._url = _base_url(url)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._version = version
        self._status = status
        self._id = ""

    def run(self, question: RemoteQuestion) -> Iterator[Event]:
        """The events of the search; waits for the first one while the server loads its models.

        Raises:
            AdascaleError: the server is away, refuses, has another version, or breaks off.
        """
        body = json.dumps(asdict(question))
        with httpx2.Client(base_url=self._url, headers=self._headers, timeout=_TIMEOUT) as client:
            is_told = False
            while True:
                request = client.stream("POST", "/v1/searches", content=body)
                with self._network_errors(), request as response:
                    if response.status_code == 200:
                        yield from self._follow(response)
                        return
                    error = self._refusal(response)
                if error.slug != "loading":
                    raise error
                if not is_told:
                    self._status("The server loads its models...")
                is_told = True
                time.sleep(_LOADING_SECONDS)

    def interrupt(self) -> None:
        """End a search that has begun, with its result so far; safe from any thread."""
        # From a signal handler: nothing may be waited for here.
        threading.Thread(target=self._end_search, daemon=True).start()

    def _end_search(self) -> None:
        with suppress(httpx2.HTTPError):  # its stream tells of the trouble
            httpx2.delete(f"{self._url}/v1/searches/{self._id}", headers=self._headers, timeout=_TIMEOUT)

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

    @contextmanager
    def _network_errors(self) -> Iterator[None]:
        """Turn errors of the network into ours, with a hint."""
        try:
            yield
        except httpx2.ConnectError as exc:
            raise ModelUnavailableError(
                f"no server answers at {self._url}", str(exc), hint=_start_again(), slug="no-server"
            ) from exc
        except httpx2.HTTPError as exc:
            raise WorkerDiedError(
                f"the connection to the server at {self._url} broke", str(exc), hint=_start_again()
            ) from exc

    def _refusal(self, response: httpx2.Response) -> AdascaleError:
        """The error for a response with another status than 200."""
        response.read()
        try:
            error: dict[str, Any] = response.json()["error"]
            message, code = str(error["message"]), str(error["code"])
        except (ValueError, LookupError, TypeError):
            return self._stranger(response)
        match response.status_code, code:
            case 404, "model-not-found":
                hint = f"leave out {setting('generator')} to ask the model that is there"
                return ModelNotFoundError(message, hint=hint)
            case 404 | 405, _:
                return self._stranger(response)
            case 401, _:
                return UsageError(message, hint="ADASCALE_API_KEY=KEY, as the server has it", slug=code)
            case 429, _:
                seconds = response.headers.get("Retry-After", "a few")
                return AdascaleError(message, hint=f"ask again in {seconds} seconds", slug=code)
            case 503, _:
                return ModelUnavailableError(message, hint=_start_again(), slug=code)
            case 400 | 403 | 413, _:
                return UsageError(message, slug=code)
            case _:
                return AdascaleError(message, slug=code)

    def _stranger(self, response: httpx2.Response) -> UsageError:
        return UsageError(
            f"{self._url} is no server of adascale {self._version} or newer",
            f"POST /v1/searches gives status {response.status_code}",
            hint=_start_again(),
            slug="no-server",
        )


def _base_url(url: str) -> str:
    """Scheme, host and port.

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
        raise UsageError(f'"{url}" is no URL of a server', hint=setting("server", "http://127.0.0.1:8321"))
    return base


def _start_again() -> str:
    return f"{command('serve')} starts one; without {setting('server')} this machine answers"
