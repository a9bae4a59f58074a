"""Transfers over HTTP with a bound on their size, tried again while failures may pass.

``download`` writes a file and goes on where it broke off; ``read`` takes a page into memory. Nothing is
decompressed: a server is asked for the bytes as they are, and a digest or a parser decides about them.
An answer that crawls is given up, so that another source is asked.
httpx2 is imported here at once, so this module is imported only when something is fetched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import ModelCorruptError, ModelUnavailableError, excerpt

Request = Callable[[dict[str, str]], AbstractContextManager[httpx2.Response]]
"""Sends one GET request with these additional headers; the body of the answer is not read yet."""

TIMEOUT = httpx2.Timeout(60, connect=10)
"""Seconds to wait for a connection, and for each piece of an answer."""

PAGE_BYTES = 10_000_000
"""Size of the biggest page that is read; those of PyPI's biggest projects are smaller."""

_FLOOR_BYTES = 1_000_000
_FLOOR_S = 60.0
_ATTEMPTS = 3
_LONGEST_PAUSE_S = 10.0
_BACKOFF = wait_exponential(multiplier=0.5, exp_base=4, max=_LONGEST_PAUSE_S)  # 0.5 s, 2 s

_NO_SUCH_RANGE = 416
"""The bytes on the disk are no beginning of the file: the next attempt starts anew."""

# Request timeout, too many requests, server errors.
_TRANSIENT_STATUSES = frozenset({408, _NO_SUCH_RANGE, 429, 500, 502, 503, 504})

T = TypeVar("T")


def read(request: Request, limit_bytes: int = PAGE_BYTES) -> httpx2.Response:
    """Read a page into memory.

    Args:
        request: Sends the request.
        limit_bytes: Size of the biggest page that is taken.

    Raises:
        httpx2.HTTPStatusError: It is refused.
        httpx2.TransportError: No answer, or it broke off three times.
        ModelUnavailableError: It comes too slowly.
        ModelCorruptError: It is bigger than the limit, or compressed.
    """

    def attempt() -> httpx2.Response:
        page = bytearray()
        with request({"Accept-Encoding": "identity"}) as response:
            response.raise_for_status()
            coding = response.headers.get("Content-Encoding", "identity")
            if coding.lower() != "identity":
                raise _answer_error(response, f"sends a page in {excerpt(coding)}, which was not asked for")
            for piece in _Pace().pieces(response):
                page += piece
                _check_size(response, len(page), limit_bytes)
            kind = {"Content-Type": response.headers.get("Content-Type", "")}
            return httpx2.Response(
                response.status_code, headers=kind, content=bytes(page), request=response.request
            )

    # A server that does not answer at all is not asked twice: the user waits, and another source may answer.
    return _persist(attempt, (httpx2.ReadError, httpx2.RemoteProtocolError), lambda: 0)


def download(request: Request, target: Path, limit_bytes: int, on_bytes: Callable[[int], None]) -> None:
    """Write an answer to a file, which goes on where it broke off.

    Args:
        request: Sends the request.
        target: The file; its contents are taken for the beginning of the answer.
        limit_bytes: Size of the biggest file that is taken.
        on_bytes: Called with the size of the file as it grows; smaller than before if a server starts anew.

    Raises:
        httpx2.HTTPStatusError: It is refused.
        httpx2.TransportError: It broke off three times in a row without a byte more.
        ModelUnavailableError: It comes too slowly.
        ModelCorruptError: It is bigger than the limit.
    """
    target.touch()
    pace = _Pace()

    def attempt() -> None:
        start = target.stat().st_size
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with request(headers) as response, target.open("ab") as file:
            if response.status_code == _NO_SUCH_RANGE:
                file.truncate(0)
            response.raise_for_status()
            position = file.truncate(start if response.status_code == 206 else 0)
            for piece in pace.pieces(response):
                _check_size(response, position + len(piece), limit_bytes)
                position += file.write(piece)
                on_bytes(position)

    _persist(attempt, (httpx2.TransportError,), lambda: target.stat().st_size)


class _Pace:
    """Gives up answers of which a minute brings less than a megabyte.

    A minute begins with a piece: a proxy that fetches the file first is silent for longer.
    """

    def __init__(self) -> None:
        self._bytes, self._until = 0, math.inf

    def pieces(self, response: httpx2.Response) -> Iterator[bytes]:
        """The pieces of an answer.

        Raises:
            ModelUnavailableError: A minute is over and brought too little.
        """
        for piece in response.iter_raw():
            now = monotonic()
            is_over = now >= self._until
            if is_over and self._bytes < _FLOOR_BYTES:
                raise ModelUnavailableError(
                    f"{response.url.host} sends less than {human_bytes(_FLOOR_BYTES)} a minute",
                    hint="run the command again later, or name another source (HF_ENDPOINT, PIP_INDEX_URL)",
                    slug="too-slow",
                )
            if is_over or not self._bytes:
                self._bytes, self._until = 0, now + _FLOOR_S
            self._bytes += len(piece)
            yield piece


def _persist(
    attempt: Callable[[], T], transient: tuple[type[Exception], ...], reached: Callable[[], int]
) -> T:
    """Call ``attempt`` until it succeeds, or has failed three times in a row and reached no further."""
    furthest, earlier = reached(), 0

    def is_stuck(state: RetryCallState) -> bool:
        nonlocal furthest, earlier
        if reached() > furthest:
            furthest, earlier = reached(), state.attempt_number - 1
        return state.attempt_number - earlier >= _ATTEMPTS

    def may_pass(error: BaseException) -> bool:
        if isinstance(error, httpx2.HTTPStatusError):
            return error.response.status_code in _TRANSIENT_STATUSES
        return isinstance(error, transient)

    again = retry_if_exception(may_pass)
    return Retrying(retry=again, stop=is_stuck, wait=_pause_s, sleep=sleep, reraise=True)(attempt)


def _pause_s(state: RetryCallState) -> float:
    """Seconds to wait after a failure: as long as the server asks for, within reason, or ever longer."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.response.headers.get("Retry-After", "") if isinstance(error, httpx2.HTTPStatusError) else ""
    return min(float(asked), _LONGEST_PAUSE_S) if asked.isdecimal() else _BACKOFF(state)


def _check_size(response: httpx2.Response, size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise _answer_error(response, f"sends more than the {human_bytes(limit_bytes)} that it can be")


def _answer_error(response: httpx2.Response, what: str) -> ModelCorruptError:
    return ModelCorruptError(
        f"{response.url.host} {what}",
        response.url.path,
        hint="name a Hub (HF_ENDPOINT) or an index (PIP_INDEX_URL) that you trust",
        slug="bad-answer",
    )
