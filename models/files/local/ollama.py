"""Ollama's store of models, which is read where it lies and never changed.

    manifests/registry.ollama.ai/library/qwen3/1.7b    JSON: the layers of a model, each with its digest
    blobs/sha256-<digest>                              a layer; that of the model is a GGUF

A name is written as Ollama has it: ``qwen3:1.7b``, ``someone/model``, ``hf.co/user/repo:Q4_K_M``.
Layout: https://github.com/ollama/ollama/blob/main/server/internal/manifest/manifest.go
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, excerpt

from ...storage import read_json
from ..validation import is_file_name, is_sha256

_REGISTRY, _LIBRARY, _TAG = "registry.ollama.ai", "library", "latest"
_MODEL_LAYER = "application/vnd.ollama.image.model"

_SERVICE_ROOT = Path("/usr/share/ollama/.ollama/models")
"""Of the service that Ollama's installer for Linux sets up."""


def roots() -> list[Path]:
    """Folders that may hold a store."""
    chosen = os.environ.get("OLLAMA_MODELS")
    if chosen:
        return [Path(chosen).expanduser()]
    return [Path("~/.ollama/models").expanduser(), _SERVICE_ROOT]


def names() -> Iterator[str]:
    """Every model that has a manifest, by the shortest name that Ollama knows it by."""
    for root in roots():
        manifests = root / "manifests"
        for path in sorted(manifests.glob("*/*/*/*")):
            *owner, model, tag = path.relative_to(manifests).parts
            before = [] if owner == [_REGISTRY, _LIBRARY] else owner[1:] if owner[0] == _REGISTRY else owner
            yield "/".join([*before, f"{model}:{tag}"])


def find(name: str) -> tuple[Path, str]:
    """The GGUF of a model, and the digest that its manifest gives.

    Raises:
        ModelNotFoundError: Ollama does not have the model.
        ModelCorruptError: Its manifest names no model file, or the blob is gone.
    """
    manifest = _manifest(name)
    for root in roots() if is_file_name(manifest) else []:
        # Unlike Path.is_file it takes a folder that may not be read for one without the file.
        if os.path.isfile(root / "manifests" / manifest):
            return _model_blob(root, root / "manifests" / manifest, name)
    raise ModelNotFoundError(
        f"Ollama has no model {name} on this machine",
        *(f"looked in {root}" for root in roots()),
        hint=f"ollama pull {name}; where its models lie elsewhere, set OLLAMA_MODELS",
    )


def _manifest(name: str) -> str:
    """Host, namespace, model and tag of a name, of which all but the model may be left out."""
    *owner, last = name.split("/")
    model, _, tag = last.partition(":")
    return "/".join([*[_REGISTRY, _LIBRARY][: 2 - len(owner)], *owner, model, tag or _TAG])


def _model_blob(root: Path, manifest: Path, name: str) -> tuple[Path, str]:
    digests = _model_digests(manifest, name)
    if len(digests) != 1 or not is_sha256(digests[0]):
        raise _damage_error(manifest, name)
    # Old versions of Ollama wrote a colon.
    blobs = [root / "blobs" / f"sha256{mark}{digests[0]}" for mark in "-:"]
    for blob in blobs:
        if os.path.isfile(blob):  # False, too, where it may not be looked at
            return blob, digests[0]
    raise ModelCorruptError(
        f"the file of Ollama's model {name} is gone", f"there is no {blobs[0]}", hint=f"ollama pull {name}"
    )


def _model_digests(manifest: Path, name: str) -> list[str]:
    """The digests of a manifest's layers that are models.

    Raises:
        ModelCorruptError: There is none.
    """
    content = read_json(manifest)
    try:
        layers = [(str(layer["mediaType"]), str(layer["digest"])) for layer in content["layers"]]
    except (LookupError, TypeError) as error:
        raise _damage_error(manifest, name) from error
    found = [digest.removeprefix("sha256:") for kind, digest in layers if kind == _MODEL_LAYER]
    if not found:
        raise ModelCorruptError(
            f"Ollama's manifest of {name} has no model layer",
            f"its layers: {excerpt(', '.join(kind.rpartition('.')[2] for kind, _ in layers)) or 'none'}",
            hint="a model of Ollama's cloud or one that is not GGUF cannot be opened here: take another",
        )
    return found


def _damage_error(manifest: Path, name: str) -> ModelCorruptError:
    return ModelCorruptError(
        f"Ollama's manifest of {name} is damaged", str(manifest), hint=f"ollama pull {name}"
    )
