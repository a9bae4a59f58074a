"""Runs commands as a user does, in a process of their own, or one of Typer in this process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import typer
from inprocess import run_here
from typer.testing import CliRunner

from adascale.engine.errors import AdascaleError

LIMIT_SECONDS = 60.0


def invoked(app: typer.Typer, *args: str) -> tuple[str, str]:
    """Stdout and stderr of a command that succeeds; an error of ours is raised."""
    result = CliRunner().invoke(app, list(args))
    if isinstance(result.exception, AdascaleError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def clean_env(home: Path) -> dict[str, str]:
    """An environment without the user's settings and models."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ADASCALE_", "HF_", "XDG_"))}
    # Searches are seeded: how sure a tiny model is of its answer decides exit codes.
    ours = {"ADASCALE_SEED": "1", "COLUMNS": "100"}
    return {**kept, "HOME": str(home), "HF_HOME": str(home / "hf"), **ours}


def wait_until(is_so: Callable[[], bool]) -> None:
    """Return as soon as something is so; an AssertionError if that does not come."""
    end = time.monotonic() + LIMIT_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def run(
    env: dict[str, str], *args: str, stdin: bytes = b"", more: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """How a command of ours ends in this process; a traceback fails the test."""
    done = run_here({**env, **(more or {})}, *args, stdin=stdin)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def run_process(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """How a command of ours ends in a process of its own; a traceback fails the test."""
    done = subprocess.run(
        [sys.executable, "-m", "adascale", *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=env,
        timeout=120,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)
