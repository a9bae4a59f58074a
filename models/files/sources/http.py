"""Answers over HTTP within bounds of bytes, time and attempts.

A Hub, a mirror or an index may break off, crawl, or send without end. Whatever is fetched from one comes
through ``read`` (a page, into memory) or ``download`` (a file, onto the disk). httpx2 is imported here at
once, so this module is imported only when something is fetched.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

import httpx2

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import ModelCorruptError, ModelUnavailableError

from ..validation import quote

Request = Callable[[dict[str, str]], AbstractContextManager[httpx2.Response]]
"""Sends one GET request with these headers beside its own; the body of its answer is not read yet."""

TIMEOUT = httpx2.Timeout(60, connect=10)
"""Seconds to wait for a connection, and for each piece of an answer."""

PAGE_BYTES = 10_000_000
"""Size of the biggest page that is read; those of PyPI's biggest projects are below."""

_FLOOR_BYTES = 1_000_000
_FLOOR_S = 60.0
_ATTEMPTS = 3
_LONGEST_PAUSE_S = 10.0

_NO_SUCH_RANGE = 416
"""What is here is no beginning of the file: the next attempt starts anew."""

# Request timeout, too many requests, server errors.
_TRANSIENT_STATUSES = frozenset({408, _NO_SUCH_RANGE, 429, 500, 502, 503, 504})
_Transient = tuple[type[httpx2.HTTPError], ...]
_RESETS: _Transient = (httpx2.HTTPStatusError, httpx2.ReadError, httpx2.RemoteProtocolError)
_OUTAGES: _Transient = (*_RESETS, httpx2.NetworkError, httpx2.TimeoutException)

T = TypeVar("T")


def read(request: Request, limit_bytes: int = PAGE_BYTES) -> httpx2.Response:
    """Read a page; one that is reset or refused for the moment is asked for again.

    Nothing that does not answer at all is asked twice, as the user waits and another source may have it.

    Args:
        request: How to ask for it.
        limit_bytes: Size of the biggest page that is taken, compressed and expanded.

    Returns:
        The whole answer, expanded.

    Raises:
        httpx2.HTTPStatusError: It is refused; of the refusal only the headers were read.
        httpx2.TransportError: No answer, or resets three times in a row.
        ModelUnavailableError: It comes too slowly.
        ModelCorruptError: It is too big, or in an encoding that nobody asked for.
    """

    def attempt() -> httpx2.Response:
        with request({"Accept-Encoding": "gzip"}) as response:
            _raise_for_status(response)
            return _without_body(response, _expanded(response, limit_bytes))

    return _persist(attempt, lambda: 0, _RESETS)


def download(request: Request, target: Path, limit_bytes: int, on_bytes: Callable[[int], None]) -> None:
    """Write an answer to a file, which goes on where it broke off.

    Args:
        request: How to ask for it.
        target: What it holds already is taken for the beginning of the answer.
        limit_bytes: Size of the biggest file that is taken.
        on_bytes: Gets the size of the file as it grows; smaller than before where a server starts anew.

    Raises:
        httpx2.HTTPStatusError: It is refused; of the refusal only the headers were read.
        httpx2.TransportError: It broke off three times in a row and had not brought a byte more.
        ModelUnavailableError: It comes too slowly.
        ModelCorruptError: It is too big, or another part of the file than was asked for.
    """
    target.touch()
    pace = _Pace()

    def attempt() -> None:
        start = target.stat().st_size
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with request(headers) as response, target.open("ab") as file:
            if response.status_code == _NO_SUCH_RANGE:
                file.truncate(0)
            _raise_for_status(response)
            position = file.truncate(start if _continues(response, start) else 0)
            for piece in response.iter_raw():
                if position + len(piece) > limit_bytes:
                    raise _too_big_error(response, limit_bytes)
                position += file.write(piece)
                pace.add(response, len(piece))
                on_bytes(position)

    _persist(attempt, lambda: target.stat().st_size, _OUTAGES)


class _Pace:
    """Gives up an answer of which a minute brings less than a megabyte.

    A minute begins with a piece: a proxy that fetches the file itself first is silent for longer than that.
    """

    def __init__(self) -> None:
        self._bytes, self._until = 0, math.inf

    def add(self, response: httpx2.Response, count: int) -> None:
        """Count the bytes of a piece.

        Raises:
            ModelUnavailableError: The minute is over and brought too little.
        """
        now = monotonic()
        if not self._bytes:
            self._until = now + _FLOOR_S
        self._bytes += count
        if now < self._until:
            return
        if self._bytes < _FLOOR_BYTES:
            raise ModelUnavailableError(
                f"{response.url.host} sends less than {human_bytes(_FLOOR_BYTES)} a minute",
                hint="run the command again later: what has arrived is kept where it can be",
                slug="too-slow",
            )
        self._bytes = 0


def _persist(attempt: Callable[[], T], reached: Callable[[], int], transient: _Transient) -> T:
    """Attempt it until it succeeds, or fails three times in a row without reaching further."""
    failures, furthest = 0, reached()
    while True:
        try:
            return attempt()
        except transient as error:
            status = error.response.status_code if isinstance(error, httpx2.HTTPStatusError) else None
            failures = 1 if reached() > furthest else failures + 1
            furthest = max(furthest, reached())
            if failures == _ATTEMPTS or status not in (None, *_TRANSIENT_STATUSES):
                raise
            sleep(_pause_s(error, failures))


def _pause_s(error: httpx2.HTTPError, failures: int) -> float:
    """Seconds to wait after a failure: what the server asks for, within reason, else .5 and 2."""
    asked = error.response.headers.get("Retry-After", "") if isinstance(error, httpx2.HTTPStatusError) else ""
    return min(float(asked), _LONGEST_PAUSE_S) if asked.isdecimal() else 0.5 * 4 ** (failures - 1)


def _raise_for_status(response: httpx2.Response) -> None:
    if response.status_code >= 400:
        message = f"{response.url.host} answers {response.status_code}"
        bare = _without_body(response, b"")
        raise httpx2.HTTPStatusError(message, request=response.request, response=bare)


def _without_body(response: httpx2.Response, content: bytes) -> httpx2.Response:
    """The answer with another body, and without the headers that describe how its own was sent."""
    own = ("content-encoding", "content-length", "transfer-encoding")
    headers = [(key, value) for key, value in response.headers.multi_items() if key.lower() not in own]
    return httpx2.Response(response.status_code, headers=headers, content=content, request=response.request)


def _continues(response: httpx2.Response, start: int) -> bool:
    """Whether an answer begins at the byte that was asked for, not at the first of the file.

    Raises:
        ModelCorruptError: It begins at another one.
    """
    if response.status_code != 206:
        return False
    where = response.headers.get("Content-Range", "")
    if not where.startswith(f"bytes {start}-"):
        raise _answer_error(response, f"sends {quote(where)}, not the part from byte {start:,}")
    return True


def _expanded(response: httpx2.Response, limit_bytes: int) -> bytes:
    """The body of a page, expanded piece by piece: no more memory is taken than the limit."""
    coding = response.headers.get("Content-Encoding", "identity").lower()
    if coding not in ("identity", "gzip"):
        raise _answer_error(response, f"sends a page in the encoding {quote(coding)}, not in gzip")
    gzip = zlib.decompressobj(wbits=31) if coding == "gzip" else None
    page, received, pace = bytearray(), 0, _Pace()
    for piece in response.iter_raw():
        received += len(piece)
        pace.add(response, len(piece))
        try:
            page += gzip.decompress(piece, limit_bytes + 1 - len(page)) if gzip else piece
        except zlib.error as error:
            raise _answer_error(response, f"sends a page that is no gzip ({error})") from error
        if max(received, len(page)) > limit_bytes:
            raise _too_big_error(response, limit_bytes)
    return bytes(page)


def _too_big_error(response: httpx2.Response, limit_bytes: int) -> ModelCorruptError:
    return _answer_error(response, f"sends more than the {human_bytes(limit_bytes)} that it can be")


def _answer_error(response: httpx2.Response, what: str) -> ModelCorruptError:
    return ModelCorruptError(
        f"{response.url.host} {what}",
        response.url.path,
        hint="name a Hub (HF_ENDPOINT) or an index (PIP_INDEX_URL) that you trust",
        slug="bad-answer",
    )
