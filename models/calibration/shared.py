"""Fetches calibrations of others from a repository of the Hub.

A calibration holds numbers and no code. It is applied where the generator has exactly the sha256 on its card
and nowhere else, like any other (``InstalledCalibrations.find``). A portable one would be applied everywhere,
and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from adascale.engine.errors import CalibrationError, ModelNotFoundError, UsageError, excerpt, setting

from ..files import hub
from ..files.reference import REPOSITORY, RemoteFile
from ..storage import atomic_write
from .artefact import SUFFIX, Artefact, load_artefact
from .installed import pulled_folder

_REFERENCE = re.compile(rf"hf:(?P<repo>{REPOSITORY})(?:@(?P<revision>[\w.-]+))?(?:/(?P<file>.+))?")

_LARGEST_BYTES = 64_000_000
"""Most bytes of all files fetched at once; the largest one that ships has 2.7 MB."""
_MOST = 50
"""Calibrations that are fetched at once."""
_ASK = "ask whoever published it"


def pull(ref: str) -> list[Artefact]:
    """Fetch the calibrations of a repository, or one of them.

    Args:
        ref: ``hf:user/repo[@revision]``, or the same with ``/file``.

    Returns:
        The calibrations as they are kept now.

    Raises:
        UsageError: the text is no such reference, or the repository has more than can be fetched at once.
        ModelNotFoundError: there is no such repository or file, or it has no calibration.
        ModelUnavailableError: the Hub cannot be reached, or offline mode is on.
        CalibrationError: a file is no calibration, or a portable one.
        OSError: the folder cannot be written.
    """
    found = _REFERENCE.fullmatch(ref)
    if found is None:
        raise UsageError(
            f"{ref} is no repository of the Hub", hint=f"hf:user/repo, or hf:user/repo/file{SUFFIX}"
        )
    if hub.is_offline():
        raise hub.offline_error(ref)
    hub.check_reachable()
    files = hub.exact_files(found["repo"], found["revision"], SUFFIX)
    kept = []
    for remote, data in [(each, _read(each)) for each in _choose(files, found["repo"], found["file"])]:
        path = pulled_folder() / f"{remote.repo}/{remote.file}".replace("/", "--")
        with atomic_write(path) as file:
            file.write(data)
        kept.append(load_artefact(path))
    return kept


def _choose(files: Sequence[RemoteFile], repo: str, file: str | None) -> Sequence[RemoteFile]:
    chosen = [remote for remote in files if file is None or remote.file == file]
    if not chosen:
        has = ", ".join(remote.file for remote in files) or f"no file that ends with {SUFFIX}"
        raise ModelNotFoundError(
            f"{repo} has no calibration{f' {file}' if file else ''}", f"it has {has}", slug="no-calibration"
        )
    together = sum(remote.size_bytes for remote in chosen)
    if len(chosen) > _MOST or (len(chosen) > 1 and together > _LARGEST_BYTES):
        raise UsageError(
            f"{repo} has {len(chosen):,} calibrations, more than are fetched at once",
            f"at most {_MOST}, and {_LARGEST_BYTES:,} bytes together",
            hint=f"name the one for your model: hf:{repo}/{excerpt(chosen[0].file)}",
        )
    return chosen


def _read(remote: RemoteFile) -> bytes:
    """The bytes of a calibration, which is opened once before anything is kept.

    Raises:
        CalibrationError: the file is no calibration, or a portable one.
    """
    name = f"{remote.repo}/{remote.file}"
    if remote.size_bytes > _LARGEST_BYTES:
        raise CalibrationError(
            f"{name} has {remote.size_bytes:,} bytes, more than a calibration can have", hint=_ASK
        )
    data = hub.read(remote)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fetched"
        path.write_bytes(data)
        try:
            artefact = load_artefact(path)
        except CalibrationError as error:
            said = error.message.replace(str(path), name)
            raise CalibrationError(said, *error.facts, hint=_ASK) from error
    if artefact.card.level == "portable":
        raise CalibrationError(
            f"{name} is portable: it would be used for every model that has none of its own",
            hint=f"download it, and {setting('calibration', f'./{Path(remote.file).name}')}",
        )
    return data
