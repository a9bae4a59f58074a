"""Shell completion from lists and directory listings; no model file is opened."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

_JUDGES = ("probe", "self", "none")


def models(incomplete: str) -> list[str]:
    """Names of the catalogue, what Ollama, LM Studio and llama.cpp keep, and GGUF files."""
    from adascale.models.files.catalog import catalog
    from adascale.models.files.stores import listing

    references, _ = listing()
    names = [*catalog(), *map(str, references)]
    return [*beginning(names, incomplete), *_files(incomplete, ".gguf")]


def judges(incomplete: str) -> list[str]:
    """Values of ``--prm``."""
    return [*beginning(_JUDGES, incomplete), *models(incomplete)]


def calibrations(incomplete: str) -> list[str]:
    """Values of ``--calibration``."""
    return [*beginning(("auto", "none"), incomplete), *_files(incomplete, ".safetensors")]


def traces(incomplete: str) -> list[str]:
    """Kept runs, the newest first, and files of traces."""
    return [*runs(incomplete), *_files(incomplete, ".jsonl")]


def runs(incomplete: str) -> list[str]:
    """Kept runs, the newest first."""
    from ..disk.history import past_runs, run_name

    return beginning(map(run_name, past_runs()), incomplete)


def beginning(names: Iterable[str], incomplete: str) -> list[str]:
    """The names that begin with ``incomplete``."""
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str, suffix: str) -> list[str]:
    """Files with a suffix, and folders, whose path begins with ``incomplete``."""
    found = sorted(glob.glob(glob.escape(incomplete) + "*"))
    folders = [name + os.sep for name in found if os.path.isdir(name)]
    return [*(name for name in found if name.endswith(suffix) and os.path.isfile(name)), *folders]
