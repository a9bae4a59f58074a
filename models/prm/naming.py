"""What a GGUF calls itself, in one spelling."""

from __future__ import annotations

import re
from pathlib import Path


def names_of(name: str, gguf: Path) -> tuple[str, str]:
    """``general.name`` and the file's name, in lower case with hyphens between the words."""
    return _spelled(name), _spelled(gguf.stem)


def _spelled(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower())
