"""The files that a session opens: found, downloaded where they are missing, and verified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .files.checksum import file_sha256
from .files.library import ModelFile, resolve
from .options import Reporting, SessionOptions
from .prm import head_file, settle_format, split_reference


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """A generator, and a PRM where the generator's own states are not what is read.

    Attributes:
        prm_format: A key of ``FORMATS``; ``probe`` without a PRM.
    """

    generator: ModelFile
    prm: ModelFile | None = None
    prm_format: str = "probe"

    def listed(self) -> list[tuple[str, Path, str]]:
        """Label, path and sha256 of each."""
        both = [("generator", self.generator), ("prm", self.prm)]
        return [(label, file.path, file.sha256) for label, file in both if file is not None]

    def prm_sha256(self) -> str:
        """What a PRM's scores depend on: its GGUF, and its head where it has one; empty without a PRM."""
        if self.prm is None:
            return ""
        head = head_file(self.prm, self.prm_format)
        if head is None:
            return self.prm.sha256
        both = f"{self.prm.sha256} {file_sha256(head, head.name)}"
        return hashlib.sha256(both.encode()).hexdigest()


def fetch(options: SessionOptions, reporting: Reporting) -> SessionFiles:
    """Find the files that the options name, downloading what is missing.

    Raises:
        ModelError, DiskFullError: a model is not available.
        UsageError: the file is no PRM of the format that was asked for.
    """

    def model(ref: str) -> ModelFile:
        return resolve(
            ref, offline=options.offline, on_progress=reporting.on_progress, confirm=reporting.confirm
        )

    generator = model(options.generator)
    if options.prm in ("none", "probe"):
        return SessionFiles(generator)
    wanted, ref = split_reference(options.prm)
    prm = generator if ref == "self" else model(ref)
    return SessionFiles(generator, prm, settle_format(prm, wanted, reporting.status, offline=options.offline))
