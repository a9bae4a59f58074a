"""Numbers and sizes as reports, views and messages write them; sizes in decimal units."""

from __future__ import annotations

import re


def decimal(value: float, form: str = ".3f") -> str:
    """``value`` in one of Python's formats, without a leading zero: ``.812``, ``-.05``, ``+.012``."""
    return re.sub(r"^([+-]?)0\.", r"\1.", format(value, form))


def human_bytes(count: int) -> str:
    """``98 MB`` or ``1.1 GB``; below a megabyte ``12 kB``."""
    if count >= 10**9:
        return f"{count / 10**9:.1f} GB"
    if count >= 10**6:
        return f"{count / 10**6:.0f} MB"
    return f"{count / 10**3:.0f} kB"


def gigabytes(count: int) -> str:
    """``0.7`` for 700 MB: a number to stand beside another one in the same sentence."""
    return f"{count / 10**9:.1f}"
