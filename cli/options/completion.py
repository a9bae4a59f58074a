"""What the shell completes: by lists and directory listings only, so that a key press never waits."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

_JUDGES = ("probe", "self", "none")


def models(incomplete: str) -> list[str]:
    """Names of the catalogue and GGUF files."""
    from adascale.models.files.catalog import catalog

    return [*_beginning(catalog(), incomplete), *_files(incomplete, ".gguf")]


def judges(incomplete: str) -> list[str]:
    """What ``--prm`` takes."""
    return [*_beginning(_JUDGES, incomplete), *models(incomplete)]


def calibrations(incomplete: str) -> list[str]:
    """What ``--calibration`` takes."""
    return [*_beginning(("auto", "none"), incomplete), *_files(incomplete, ".safetensors")]


def traces(incomplete: str) -> list[str]:
    """Kept runs, the newest first, and files of traces."""
    return [*runs(incomplete), *_files(incomplete, ".jsonl")]


def runs(incomplete: str) -> list[str]:
    """Kept runs, the newest first."""
    from ..disk.history import past_runs, run_name

    return _beginning(map(run_name, past_runs()), incomplete)


def settings(incomplete: str) -> list[str]:
    """Keys of the config file."""
    import typer.main

    from ..app import app
    from .config_file import settings_of

    return _beginning(settings_of(typer.main.get_command(app)), incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str, suffix: str) -> list[str]:
    """Files with a suffix, and folders that may hold some, below what is typed so far."""
    found = sorted(glob.glob(glob.escape(incomplete) + "*"))
    folders = [name + os.sep for name in found if os.path.isdir(name)]
    return [*(name for name in found if name.endswith(suffix) and os.path.isfile(name)), *folders]
