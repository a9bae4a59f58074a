"""Downloads over HTTP that go on where they broke off, tried again while failures may pass.

huggingface_hub and unearth delete what a killed download has brought, so the bytes come through here.
httpx2 is imported here at once, so this module is imported only when something is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from time import sleep

import httpx2

Request = Callable[[dict[str, str]], AbstractContextManager[httpx2.Response]]
"""Sends one GET request with these additional headers; the body of the answer is not read yet."""

TIMEOUT = httpx2.Timeout(60, connect=10)
"""Seconds to wait for a connection, and for each piece of an answer."""

_ATTEMPTS = 3

_NO_SUCH_RANGE = 416
"""The bytes on the disk are no beginning of the file: the next attempt starts anew."""

# Request timeout, too many requests, server errors.
_TRANSIENT_STATUSES = frozenset({408, _NO_SUCH_RANGE, 429, 500, 502, 503, 504})


def download(request: Request, target: Path, on_bytes: Callable[[int], None]) -> None:
    """Write an answer to a file, which goes on where it broke off.

    Args:
        request: Sends the request.
        target: The file; its contents are taken for the beginning of the answer.
        on_bytes: Called with the size of the file as it grows; smaller than before if a server starts anew.

    Raises:
        httpx2.HTTPStatusError: It is refused.
        httpx2.TransportError: It broke off three times in a row without a byte more.
    """
    target.touch()
    failures = 0
    while True:
        before = target.stat().st_size
        try:
            _attempt(request, target, before, on_bytes)
            return
        except (httpx2.HTTPStatusError, httpx2.TransportError) as error:
            failures = 1 if target.stat().st_size > before else failures + 1
            if failures == _ATTEMPTS or not _may_pass(error):
                raise
            sleep(2 ** (failures - 1))


def _may_pass(error: Exception) -> bool:
    if isinstance(error, httpx2.HTTPStatusError):
        return error.response.status_code in _TRANSIENT_STATUSES
    return True


def _attempt(request: Request, target: Path, start: int, on_bytes: Callable[[int], None]) -> None:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with request(headers) as response, target.open("ab") as file:
        if response.status_code == _NO_SUCH_RANGE:
            if response.headers.get("Content-Range") == f"bytes */{start}":
                return  # all of it is here
            file.truncate(0)
        response.raise_for_status()
        position = file.truncate(start if response.status_code == 206 else 0)
        for piece in response.iter_raw():
            position += file.write(piece)
            on_bytes(position)
