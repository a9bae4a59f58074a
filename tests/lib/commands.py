"""Runs a command of Typer in this process, as the tests of several commands do."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from adascale.engine.errors import AdascaleError


def invoked(app: typer.Typer, *args: str) -> tuple[str, str]:
    """Stdout and stderr of a command that succeeds; an error of ours is raised."""
    result = CliRunner().invoke(app, list(args))
    if isinstance(result.exception, AdascaleError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr
