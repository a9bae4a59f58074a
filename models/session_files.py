"""The files of a session, found and verified before anything is opened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.errors import UsageError, setting

from .calibration.artefact import Artefact, load_artefact
from .files.checksum import file_sha256
from .files.library import ModelFile, resolve
from .options import Reporting, SessionOptions
from .prm.formats import settle_format, split_reference
from .prm.head import head_file


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """Files of a session: a generator, and a PRM and a calibration if they were named.

    Attributes:
        generator: The generator's file.
        prm: The PRM's file; the generator's if it judges itself.
        prm_format: A key of ``FORMATS``; ``probe`` without a PRM, even if no states are read (``none``).
        calibration: The calibration.
    """

    generator: ModelFile
    prm: ModelFile | None = None
    prm_format: str = "probe"
    calibration: Artefact | None = None

    def listing(self) -> list[tuple[str, Path, str]]:
        """Label, path and sha256 of each."""
        both = [("generator", self.generator), ("prm", self.prm)]
        return [(label, file.path, file.sha256) for label, file in both if file is not None]

    @property
    def pair_name(self) -> str:
        """Names of generator and PRM: ``qwen2.5-coder-1.5b+probe``."""
        prm = self.prm_format if self.prm is None else self.prm.own_name
        return f"{self.generator.own_name}+{prm}"

    def prm_sha256(self) -> str:
        """Digest of the PRM's GGUF, and of its head if it has one; empty without a PRM."""
        if self.prm is None:
            return ""
        head = head_file(self.prm, self.prm_format)
        if head is None:
            return self.prm.sha256
        both = f"{self.prm.sha256} {file_sha256(head, head.name)}"
        return hashlib.sha256(both.encode()).hexdigest()


def fetch_files(options: SessionOptions, reporting: Reporting) -> SessionFiles:
    """Find the files that the options name, downloading models that are missing.

    Raises:
        ModelError, DiskFullError: a model is not available.
        CalibrationError, UsageError: the named calibration cannot be used; nothing was downloaded.
        UsageError: the file is no PRM of the named format.
    """
    calibration = None
    if options.calibration not in ("auto", "none"):
        if options.prm == "none":
            text = f"{setting('prm', 'none')} leaves nothing to calibrate with {options.calibration}"
            raise UsageError(text, hint=setting("prm", "probe"))
        calibration = load_artefact(Path(options.calibration))

    def model(ref: str) -> ModelFile:
        return resolve(
            ref, offline=options.offline, on_progress=reporting.on_progress, confirm=reporting.confirm
        )

    generator = model(options.generator)
    if options.prm in ("none", "probe"):
        return SessionFiles(generator, calibration=calibration)
    wanted, ref = split_reference(options.prm)
    prm = generator if ref == "self" else model(ref)
    form = settle_format(prm, wanted, reporting.status, offline=options.offline)
    return SessionFiles(generator, prm, form, calibration)
