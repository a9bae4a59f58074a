"""Models that other programs keep on this machine: opened where they lie, never copied or changed.

    ollama:qwen3:1.7b                    Ollama: manifests/HOST/NAMESPACE/MODEL/TAG, JSON whose layers name
                                         blobs/sha256-DIGEST; the layer of the model is a GGUF
    lmstudio:publisher/repo:Q4_K_M       LM Studio: publisher/repo/file.gguf in its folder of models
    llama.cpp:user_repo_file-Q4_K_M      llama.cpp's cache of files that it fetched by itself

A name of Ollama is written as Ollama has it: ``qwen3:1.7b``, ``someone/model``, ``hf.co/user/repo:Q4_K_M``.
Layout: https://github.com/ollama/ollama/blob/main/server/internal/manifest/manifest.go
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from adascale.engine.errors import (
    ModelCorruptError,
    ModelError,
    ModelNotFoundError,
    ModelUnavailableError,
    command,
    excerpt,
)

from ..storage import read_json
from .reference import Store, StoreReference, choose_file, model_files, quant_of
from .validation import is_file_name, is_sha256

_REGISTRY, _LIBRARY, _TAG = "registry.ollama.ai", "library", "latest"
_MODEL_LAYER = "application/vnd.ollama.image.model"

_SERVICE_ROOT = Path("/usr/share/ollama/.ollama/models")
"""Store of the service that Ollama's installer for Linux sets up."""


def listing() -> tuple[list[StoreReference], list[ModelError]]:
    """List the models of all stores, and an error for each store that cannot be read."""
    found: list[StoreReference] = []
    errors: list[ModelError] = []
    for store, (names, _) in _KEEPERS.items():
        try:
            found += [StoreReference(store, name) for name in names()]
        except (OSError, RuntimeError) as error:  # RuntimeError: pathlib's name for a loop of links
            errors.append(ModelUnavailableError(f"the models of {store} cannot be read", str(error)))
    return found, errors


def locate(reference: StoreReference) -> tuple[Path, str]:
    """Give the file of a model in a store, and the digest that the store claims, empty without one.

    Raises:
        ModelNotFoundError: The store does not have it.
        ModelCorruptError: The store is damaged.
    """
    _, find = _KEEPERS[reference.store]
    return find(reference.name)


def _ollama_roots() -> list[Path]:
    chosen = os.environ.get("OLLAMA_MODELS")
    if chosen:
        return [Path(chosen).expanduser()]
    return [Path("~/.ollama/models").expanduser(), _SERVICE_ROOT]


def _ollama_names() -> Iterator[str]:
    """Every model that has a manifest, by the shortest name that Ollama knows it by."""
    for root in _ollama_roots():
        manifests = root / "manifests"
        for path in sorted(manifests.glob("*/*/*/[!.]*")):  # the Finder of macOS puts .DS_Store there
            *owner, model, tag = path.relative_to(manifests).parts
            before = [] if owner == [_REGISTRY, _LIBRARY] else owner[1:] if owner[0] == _REGISTRY else owner
            yield "/".join([*before, f"{model}:{tag}"])


def _locate_in_ollama(name: str) -> tuple[Path, str]:
    *owner, last = name.split("/")
    model, _, tag = last.partition(":")
    place = "/".join([*[_REGISTRY, _LIBRARY][: 2 - len(owner)], *owner, model, tag or _TAG])
    for root in _ollama_roots() if is_file_name(place) else []:
        # Unlike Path.is_file, os.path.isfile is False in a folder that may not be read.
        if os.path.isfile(root / "manifests" / place):
            return _ollama_blob(root, root / "manifests" / place, name)
    raise ModelNotFoundError(
        f"Ollama has no model {name} on this machine",
        *(f"looked in {root}" for root in _ollama_roots()),
        hint=f"ollama pull {name}; where its models lie elsewhere, set OLLAMA_MODELS",
    )


def _ollama_blob(root: Path, manifest: Path, name: str) -> tuple[Path, str]:
    def damage(fact: str) -> ModelCorruptError:
        return ModelCorruptError(f"Ollama's copy of {name} is damaged", fact, hint=f"ollama pull {name}")

    try:
        content = read_json(manifest)
        layers = [(str(layer["mediaType"]), str(layer["digest"])) for layer in content["layers"]]
    except (LookupError, TypeError) as error:
        raise damage(f"cannot read {manifest}") from error
    digests = [digest.removeprefix("sha256:") for kind, digest in layers if kind == _MODEL_LAYER]
    if not digests:
        raise ModelCorruptError(
            f"Ollama's manifest of {name} has no model layer",
            f"its layers: {excerpt(', '.join(kind.rpartition('.')[2] for kind, _ in layers)) or 'none'}",
            hint="a model of Ollama's cloud or one that is not GGUF cannot be opened here: take another",
        )
    if len(digests) != 1 or not is_sha256(digests[0]):
        raise damage(f"cannot read {manifest}")
    blob = root / "blobs" / f"sha256-{digests[0]}"
    if not os.path.isfile(blob):
        raise damage(f"there is no {blob}")
    return blob, digests[0]


def _lmstudio_folders() -> list[Path]:
    """LM Studio's folders of models: the one in its settings, the usual one, and that of early versions."""
    pointer = Path("~/.lmstudio-home-pointer").expanduser()
    try:
        home = Path(pointer.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        home = Path("~/.lmstudio").expanduser()
    settings = read_json(home / "settings.json")
    chosen = settings.get("downloadsFolder") if isinstance(settings, dict) else None
    own = [Path(chosen)] if isinstance(chosen, str) and chosen else []
    return [*own, home / "models", Path("~/.cache/lm-studio/models").expanduser()]


def _lmstudio_names() -> Iterator[str]:
    for root in _lmstudio_folders():
        for folder in sorted(root.glob("*/*")):
            repo = folder.relative_to(root).as_posix()
            files = _models_in(folder)
            for file in files:
                tag = quant_of(file)
                yield f"{repo}:{tag if choose_file(files, tag) == file else file}"


def _locate_in_lmstudio(name: str) -> tuple[Path, str]:
    repo, _, quant = name.partition(":")
    for root in _lmstudio_folders() if is_file_name(repo) else []:
        chosen = choose_file(_models_in(root / repo), quant or None)
        if chosen is not None:
            return root / repo / chosen, ""
    raise _absence_error("LM Studio", name, _lmstudio_folders())


def _llama_cpp_folder() -> Path:
    from platformdirs import user_cache_path

    chosen = os.environ.get("LLAMA_CACHE")
    return Path(chosen) if chosen else user_cache_path("llama.cpp", appauthor=False, opinion=False)


def _llama_cpp_names() -> Iterator[str]:
    for file in _models_in(_llama_cpp_folder()):
        yield file.removesuffix(".gguf")


def _locate_in_llama_cpp(name: str) -> tuple[Path, str]:
    path = _llama_cpp_folder() / f"{name.removesuffix('.gguf')}.gguf"
    if is_file_name(name) and os.path.isfile(path):
        return path, ""
    raise _absence_error("llama.cpp's cache", name, [path.parent])


def _models_in(folder: Path) -> list[str]:
    return model_files(path.name for path in folder.glob("*.gguf") if os.path.isfile(path))


def _absence_error(keeper: str, name: str, folders: list[Path]) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{keeper} has no model {name} on this machine",
        *(f"looked in {folder}" for folder in folders),
        hint=f"{command('list')} shows what is here",
    )


_KEEPERS: dict[Store, tuple[Callable[[], Iterator[str]], Callable[[str], tuple[Path, str]]]] = {
    "ollama": (_ollama_names, _locate_in_ollama),
    "lmstudio": (_lmstudio_names, _locate_in_lmstudio),
    "llama.cpp": (_llama_cpp_names, _locate_in_llama_cpp),
}
"""For each program: lists the names of its models; gives the file of a name, and the claimed digest."""
