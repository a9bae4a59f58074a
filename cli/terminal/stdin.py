"""Reading text that was piped in."""

from __future__ import annotations

import sys

from adascale.engine.errors import UsageError


def read_stdin() -> str:
    """All of stdin as UTF-8, a byte order mark dropped.

    Raises:
        UsageError: it is no UTF-8; the position of the first bad byte is told.
    """
    return decode(sys.stdin.buffer.read(), "stdin")


def decode(data: bytes, what: str) -> str:
    """Bytes as UTF-8 text, a byte order mark dropped.

    Raises:
        UsageError: they are no UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"{what} is not UTF-8 (byte {exc.start}, 0x{data[exc.start]:02x})",
            hint="convert it first, for example: iconv -f latin1 -t utf-8",
            slug="not-utf8",
        ) from exc
