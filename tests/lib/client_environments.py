"""Environments with clients that are no part of the development extra, from the package index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def environment(folder: Path, *wanted: str) -> Path:
    """Python of a new environment with these clients; skips the test where they cannot be installed."""
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, folder / "venv"], check=True, timeout=60)
    python = folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = subprocess.run(
        [*uv, "pip", "install", "-q", "--python", python, *wanted],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"no package index: {done.stderr[-200:]}")
    return python
