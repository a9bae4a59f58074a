"""Models that other programs keep: found, opened where they lie, and left as they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, UsageError
from adascale.models.files.library import installed_models, remove, resolve

MODEL = "application/vnd.ollama.image.model"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "ollama"


def put(store: Path, name: str, data: bytes, kind: str = MODEL) -> Path:
    """Lay a model down as Ollama does; returns its blob."""
    digest = hashlib.sha256(data).hexdigest()
    blob = store / "blobs" / f"sha256-{digest}"
    layer = {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}
    licence = {"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{'0' * 64}", "size": 3}
    manifest = store / "manifests" / name
    for path in (blob, manifest):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [licence, layer]}))
    return blob


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("manifest", "names"),
    [
        ("registry.ollama.ai/library/qwen3/1.7b", ["qwen3:1.7b", "library/qwen3:1.7b"]),
        ("registry.ollama.ai/library/qwen3/latest", ["qwen3:latest", "qwen3"]),
        ("registry.ollama.ai/someone/m/latest", ["someone/m:latest", "someone/m"]),
        ("hf.co/user/repo-GGUF/Q4_K_M", ["hf.co/user/repo-GGUF:Q4_K_M"]),
    ],
)
def test_a_model_of_ollama_is_opened_where_it_lies(
    store: Path, gguf: bytes, manifest: str, names: list[str]
) -> None:
    blob = put(store, manifest, gguf)
    before = snapshot(store)
    for name in names:
        file = resolve(f"ollama:{name}", offline=True)
        assert (file.path, file.source) == (blob, "ollama")
        assert file.sha256 == hashlib.sha256(gguf).hexdigest()
    assert [file.name for file in installed_models().files] == [f"ollama:{names[0]}"]
    assert snapshot(store) == before


def test_a_blob_that_was_changed_is_refused(store: Path, gguf: bytes) -> None:
    blob = put(store, "registry.ollama.ai/library/m/latest", gguf)
    blob.write_bytes(gguf[:-1] + b"?")
    with pytest.raises(ModelCorruptError, match="ollama:m is not the file that was published") as raised:
        resolve("ollama:m")
    assert "pull" not in raised.value.hint


def test_a_model_that_ollama_does_not_have(store: Path) -> None:
    for name in ("nothing", "a/b/c/d/e", "x" * 300, ""):
        with pytest.raises(ModelNotFoundError, match="Ollama has no model") as raised:
            resolve(f"ollama:{name}")
        assert raised.value.facts == (f"looked in {store}",)


def test_a_blob_that_is_gone(store: Path, gguf: bytes) -> None:
    blob = put(store, "registry.ollama.ai/library/m/latest", gguf)
    blob.unlink()
    with pytest.raises(ModelCorruptError, match="Ollama's copy of m is damaged") as raised:
        resolve("ollama:m")
    assert (raised.value.facts, raised.value.hint) == ((f"there is no {blob}",), "ollama pull m")


def test_a_manifest_without_a_model_layer(store: Path, gguf: bytes) -> None:
    put(store, "registry.ollama.ai/library/m/cloud", gguf, "application/vnd.ollama.image.system")
    with pytest.raises(ModelCorruptError, match="manifest of m:cloud has no model layer"):
        resolve("ollama:m:cloud")


def test_lm_studio_has_folders_of_publishers(tmp_path: Path, gguf: bytes) -> None:
    folder = tmp_path / "home/.lmstudio/models/someone/m-GGUF"
    folder.mkdir(parents=True)
    for name in ("m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-m-F16.gguf", "other-Q8_0.gguf"):
        (folder / name).write_bytes(gguf + name.encode())
    names = [file.name for file in installed_models().files]
    assert names == [f"lmstudio:someone/m-GGUF:{tag}" for tag in ("Q4_K_M", "Q8_0", "other-Q8_0.gguf")]
    assert resolve("lmstudio:someone/m-GGUF").path == folder / "m-Q4_K_M.gguf"
    assert [resolve(name).source for name in names] == ["lmstudio"] * 3
    assert resolve(names[2]).path == folder / "other-Q8_0.gguf"
    with pytest.raises(ModelNotFoundError, match="LM Studio has no model someone/m-GGUF:Q2_K"):
        resolve("lmstudio:someone/m-GGUF:Q2_K")


def test_lm_studio_says_where_its_folder_is(tmp_path: Path, gguf: bytes) -> None:
    home, models = tmp_path / "studio", tmp_path / "disk"
    (models / "a/b").mkdir(parents=True)
    (models / "a/b/m.gguf").write_bytes(gguf)
    home.mkdir()
    (home / "settings.json").write_text(json.dumps({"downloadsFolder": str(models)}))
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.lmstudio-home-pointer").write_text(f"{home}\n")
    assert resolve("lmstudio:a/b:m.gguf").path == models / "a/b/m.gguf"


def test_nothing_of_another_program_is_fetched_or_deleted(store: Path, gguf: bytes) -> None:
    blob = put(store, "registry.ollama.ai/library/m/latest", gguf)
    for command in (lambda ref: resolve(ref, again=True), remove):
        with pytest.raises(UsageError, match="ollama:m is a model of another program"):
            command("ollama:m")
    assert blob.read_bytes() == gguf
