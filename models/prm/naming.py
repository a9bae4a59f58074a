"""What a GGUF calls itself, in one spelling."""

from __future__ import annotations

import re
from pathlib import Path

from ..files.gguf import read_info


def names_of(gguf: Path) -> tuple[str, str]:
    """``general.name`` and the file's name, in lower case with hyphens between the words."""
    own, file = read_info(gguf).name, gguf.stem
    return _spelled(own), _spelled(file)


def _spelled(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower())
