"""Numbers as reports and views write them."""

from __future__ import annotations

import re


def decimal(value: float, form: str = ".3f") -> str:
    """``value`` in one of Python's formats, without a leading zero: ``.812``, ``-.05``, ``+.012``."""
    return re.sub(r"^([+-]?)0\.", r"\1.", format(value, form))
