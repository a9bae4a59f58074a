"""Models that other programs keep on this machine: opened where they lie, never copied or changed.

    ollama:qwen3:1.7b                    Ollama: manifests/HOST/NAMESPACE/MODEL/TAG, JSON whose layers name
                                         blobs/sha256-DIGEST; the layer of the model is a GGUF
    lmstudio:publisher/repo:Q4_K_M       LM Studio: publisher/repo/file.gguf in its folder of models

A name of Ollama is written as Ollama has it: ``qwen3:1.7b``, ``someone/model``, ``hf.co/user/repo:Q4_K_M``.
Layout: https://github.com/ollama/ollama/blob/main/server/internal/manifest/manifest.go
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, command

from ..storage import read_json
from .reference import StoreReference, choose_file, model_files, quant_of

_REGISTRY, _LIBRARY, _TAG = "registry.ollama.ai", "library", "latest"
_MODEL_LAYER = "application/vnd.ollama.image.model"

_SERVICE_ROOT = Path("/usr/share/ollama/.ollama/models")
"""Store of the service that Ollama's installer for Linux sets up."""


def listing() -> list[StoreReference]:
    """List the models of all stores."""
    return [
        *(StoreReference("ollama", name) for name in _ollama_names()),
        *(StoreReference("lmstudio", name) for name in _lmstudio_names()),
    ]


def locate(reference: StoreReference) -> tuple[Path, str]:
    """Give the file of a model in a store, and the digest that the store claims, empty without one.

    Raises:
        ModelNotFoundError: The store does not have it.
        ModelCorruptError: The store is damaged.
    """
    if reference.store == "ollama":
        return _locate_in_ollama(reference.name)
    return _locate_in_lmstudio(reference.name), ""


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
    for root in _ollama_roots():
        manifest = root / "manifests" / place
        # Unlike Path.is_file, os.path.isfile is False in a folder that may not be read.
        if not os.path.isfile(manifest):
            continue
        content = read_json(manifest) or {}
        layers = {layer["mediaType"]: layer["digest"] for layer in content.get("layers") or ()}
        digest = layers.get(_MODEL_LAYER, "").removeprefix("sha256:")
        if not digest:
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
    except OSError:
        home = Path("~/.lmstudio").expanduser()
    chosen = (read_json(home / "settings.json") or {}).get("downloadsFolder")
    return [*([Path(chosen)] if chosen else []), home / "models"]


def _lmstudio_names() -> Iterator[str]:
    for root in _lmstudio_folders():
        for folder in sorted(root.glob("*/*")):
            files = _models_in(folder)
            for file in files:
                tag = quant_of(file)
                own = tag if choose_file(files, tag) == file else file
                yield f"{folder.relative_to(root).as_posix()}:{own}"


def _locate_in_lmstudio(name: str) -> Path:
    repo, _, quant = name.partition(":")
    for root in _lmstudio_folders():
        chosen = choose_file(_models_in(root / repo), quant or None)
        if chosen is not None:
            return root / repo / chosen
    raise ModelNotFoundError(
        f"LM Studio has no model {name} on this machine",
        *(f"looked in {folder}" for folder in _lmstudio_folders()),
        hint=f"{command('list')} shows what is here",
    )


def _models_in(folder: Path) -> list[str]:
    return model_files(path.name for path in folder.glob("*.gguf"))
