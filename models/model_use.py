"""What is known about a model file from its searches on this machine: counts, by sha256, and no texts."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from adascale.engine.codec import build, to_plain
from adascale.engine.errors import command
from adascale.engine.search.program_guard import ProgramUse
from adascale.engine.search.record import Record
from adascale.engine.types import Notice

from .storage import atomic_write, data_folder, read_json

SCHEMA = "adascale.model-use/1"


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What is known about one model file.

    Attributes:
        programs: Counts of its programs; if they have a fault, the mode ``auto`` writes none.
        shift: Logits to add to the level of models of its size (``engine.fitting.level``).
        answers: Number of known answers that the shift comes from.
    """

    programs: ProgramUse = field(default_factory=ProgramUse)
    shift: float = 0.0
    answers: int = 0


def use_path(sha256: str) -> Path:
    """The file for a model, which may not exist."""
    return data_folder() / "models" / f"{sha256}.json"


def read_use(sha256: str) -> ModelUse:
    """Read what is known about a model; empty if the file is missing or damaged."""
    kept = read_json(use_path(sha256))
    if isinstance(kept, dict) and kept.get("schema") == SCHEMA:
        with contextlib.suppress(AttributeError, LookupError, TypeError, ValueError):
            found: ModelUse = build(ModelUse, kept)
            return found
    return ModelUse()


def keep_use(sha256: str, use: ModelUse) -> None:
    """Write what is known about a model.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_write(use_path(sha256), 0o600) as file:
        file.write(json.dumps({"schema": SCHEMA, **to_plain(use)}).encode())


def count_search(record: Record, reference: str) -> Notice | None:
    """Count the programs of a search that has ended; counts that cannot be written are lost.

    Args:
        record: The search.
        reference: The model, as the user calls it.

    Returns:
        A notice if the model writes no more programs from now on.
    """
    generator = record.started.models.generator
    if generator is None or record.started.problem.kind != "value":
        return None
    before = read_use(generator.sha256)
    programs = before.programs.after(record)
    if programs != before.programs:
        with contextlib.suppress(OSError):
            keep_use(generator.sha256, replace(before, programs=programs))
    if before.programs.fault or not programs.fault:
        return None
    return Notice(
        "no-programs",
        f"{reference} writes no more programs from now on: {programs.fault}",
        hint=f"{command('calibrate', 'level', '-m', reference, '--forget')} lets it try again",
    )
