"""What the benches share: opening models, a long prompt, the closing JSON line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adascale.cli.terminal.text import columns
from adascale.models.files.library import resolve

STORY = "Write a very long and detailed story about a lighthouse keeper and the sea. Do not stop early. "


def model_path(name: str) -> Path:
    """File of a catalogue name or path, fetched if need be."""
    return resolve(name).path


def close(figures: dict[str, Any]) -> None:
    """The last line of every bench: its figures, for programs."""
    print(json.dumps(figures, allow_nan=False))


def table(header: list[str], rows: list[list[str]]) -> None:
    """Columns aligned to the right, for people."""
    print(columns([header, *rows], ">" * len(header)), flush=True)
