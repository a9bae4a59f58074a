"""The version that runs: that of the package, and in a checkout the commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import adascale


def running_version() -> str:
    """``0.2.0``; in a checkout ``0.2.0 (1a2b3c4d5e6f)``, or ``(1a2b3c4d5e6f, changed)`` after an edit."""
    root = Path(adascale.__file__).parent.parent
    if not (root / ".git").exists():  # a file in a worktree
        return adascale.__version__
    command = [
        "git",
        "-C",
        str(root),
        "describe",
        "--always",
        "--abbrev=12",
        "--exclude=*",
        "--dirty=, changed",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return adascale.__version__
    return f"{adascale.__version__} ({done.stdout.strip()})"
