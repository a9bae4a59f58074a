"""Models on this machine: the cache, files of one's own, and what other programs keep, left as it is."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from tiny import gguf_bytes

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, ModelUnavailableError, UsageError
from adascale.models.files.cache import Transfer
from adascale.models.files.gguf import read_info
from adascale.models.files.library import ModelFile, installed_models, locate, remove, resolve

from .net import Net, make_spec

MODEL = "application/vnd.ollama.image.model"


def test_a_file_of_ones_own_is_used_where_it_lies(tmp_path: Path, gguf: bytes) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(gguf)
    file = resolve(str(path), offline=True)
    digest = hashlib.sha256(gguf).hexdigest()
    assert file == ModelFile(str(path), path, digest, None, "path", read_info(path))
    with pytest.raises(UsageError, match=r"own\.gguf is not in the Hugging Face cache"):
        remove(str(path))
    assert path.exists()


def test_a_cached_file_is_used_in_place_without_the_network(gguf: bytes, net: Net) -> None:
    spec = net.know(make_spec(gguf))
    link = net.put(spec, gguf)
    file = resolve("tiny", offline=True)
    assert (file.path, file.source, file.sha256, file.spec) == (link, "cache", spec.sha256, spec)
    by_repository = resolve("hf:someone/tiny-GGUF:q4_k_m", offline=True)
    assert (by_repository.path, by_repository.sha256) == (link, spec.sha256)
    assert locate("someone/tiny-GGUF:Q8_0") is None


def test_the_checksum_is_computed_once_and_again_after_a_change(gguf: bytes, net: Net) -> None:
    link = net.put(net.know(make_spec(gguf)), gguf)
    seen: list[Transfer] = []
    for _ in range(2):
        resolve("tiny", on_progress=seen.append)
        assert seen == [Transfer("tiny", len(gguf), len(gguf), "checking")]
    link.resolve().write_bytes(gguf[:-1] + b"?")
    with pytest.raises(ModelCorruptError, match="tiny is not the file that was published") as raised:
        resolve("tiny")
    digests = [hashlib.sha256(data).hexdigest() for data in (gguf, gguf[:-1] + b"?")]
    assert [fact.split()[-1] for fact in raised.value.facts] == digests


def test_the_same_bytes_of_another_revision_are_adopted(gguf: bytes, net: Net) -> None:
    net.put(net.know(make_spec(gguf)), gguf, revision="d" * 40)
    assert resolve("tiny", offline=True).path.read_bytes() == gguf


def test_offline_touches_nothing_and_says_how_to_go_on(gguf: bytes, net: Net) -> None:
    net.know(make_spec(gguf, packages=1))
    net.patch.setattr("adascale.models.files.download.fetch", lambda *_: pytest.fail("went to the network"))
    for offline in (True, False):
        with pytest.raises(ModelUnavailableError, match="offline mode is on") as raised:
            resolve("tiny", offline=offline)
        assert raised.value.slug == "offline"
        net.patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_installed_lists_each_file_once_and_knows_its_name(gguf: bytes, net: Net) -> None:
    spec = net.know(make_spec(gguf))
    link = net.put(spec, gguf)
    other = gguf_bytes(tensors={"t": (2, 2)})
    net.put(make_spec(other, name="another"), other)
    twin = link.parent.parent / ("e" * 40) / spec.file
    twin.parent.mkdir()
    twin.symlink_to(os.path.relpath(link.resolve(), twin.parent))
    found = [(file.name, file.spec) for file in installed_models()]
    assert found == [("tiny", spec), ("someone/another-GGUF:Q4_K_M", None)]


def test_remove_frees_the_bytes_and_leaves_the_rest(gguf: bytes, net: Net) -> None:
    link = net.put(net.know(make_spec(gguf)), gguf)
    neighbour = link.with_name("config.json")
    neighbour.write_text("{}")
    assert remove("tiny") == len(gguf)
    assert neighbour.exists()
    assert locate("tiny") is None
    assert not list((net.cache / "models--someone--tiny-GGUF" / "blobs").iterdir())
    with pytest.raises(ModelNotFoundError, match="tiny is not on this machine"):
        remove("tiny")


@pytest.fixture
def ollama(net: Net) -> Path:
    return net.folder / "ollama"


def put(store: Path, name: str, data: bytes, kind: str = MODEL) -> Path:
    """Lay a model down as Ollama does; returns its blob."""
    digest = hashlib.sha256(data).hexdigest()
    blob = store / "blobs" / f"sha256-{digest}"
    layers = [
        {"mediaType": "licence", "digest": "sha256:0"},
        {"mediaType": kind, "digest": f"sha256:{digest}"},
    ]
    manifest = store / "manifests" / name
    for path in (blob, manifest):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return blob


@pytest.mark.parametrize(
    ("manifest", "names"),
    [
        ("registry.ollama.ai/library/qwen3/1.7b", ["qwen3:1.7b", "library/qwen3:1.7b"]),
        ("registry.ollama.ai/library/qwen3/latest", ["qwen3:latest", "qwen3"]),
        ("registry.ollama.ai/someone/m/latest", ["someone/m:latest", "someone/m"]),
        ("hf.co/user/repo-GGUF/Q4_K_M", ["hf.co/user/repo-GGUF:Q4_K_M"]),
    ],
)
def test_a_model_of_ollama_is_opened_where_it_lies_and_stays(
    ollama: Path, gguf: bytes, manifest: str, names: list[str]
) -> None:
    blob = put(ollama, manifest, gguf)
    for name in names:
        file = resolve(f"ollama:{name}", offline=True)
        assert (file.path, file.source) == (blob, "ollama")
        assert file.sha256 == hashlib.sha256(gguf).hexdigest()
    assert [file.name for file in installed_models()] == [f"ollama:{names[0]}"]
    with pytest.raises(UsageError, match="is not in the Hugging Face cache"):
        remove(f"ollama:{names[0]}")
    assert blob.read_bytes() == gguf


def test_a_damaged_model_of_ollama_is_refused(ollama: Path, gguf: bytes) -> None:
    blob = put(ollama, "registry.ollama.ai/library/m/latest", gguf)
    blob.write_bytes(gguf[:-1] + b"?")
    with pytest.raises(ModelCorruptError, match="ollama:m:latest is not the file that was") as raised:
        resolve("ollama:m")
    assert "pull" not in raised.value.hint
    put(ollama, "registry.ollama.ai/library/m/cloud", gguf, "application/vnd.ollama.image.system")
    (ollama / "blobs" / blob.name).unlink()
    for tag in ("latest", "cloud"):
        with pytest.raises(ModelCorruptError, match=f"Ollama's copy of m:{tag} has no GGUF file") as raised:
            resolve(f"ollama:m:{tag}")
        assert raised.value.hint == f"ollama pull m:{tag}"
    assert not installed_models()


def test_lm_studio_has_folders_of_publishers(tmp_path: Path, gguf: bytes) -> None:
    folder = tmp_path / "home/.lmstudio/models/someone/m-GGUF"
    folder.mkdir(parents=True)
    for name in ("m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-m-F16.gguf", "other-Q8_0.gguf"):
        (folder / name).write_bytes(gguf + name.encode())
    names = [file.name for file in installed_models()]
    assert names == [f"lmstudio:someone/m-GGUF:{tag}" for tag in ("Q4_K_M", "Q8_0", "other-Q8_0.gguf")]
    assert resolve("lmstudio:someone/m-GGUF").path == folder / "m-Q4_K_M.gguf"
    assert [resolve(name).source for name in names] == ["lmstudio"] * 3
    assert resolve(names[2]).path == folder / "other-Q8_0.gguf"
    with pytest.raises(ModelNotFoundError, match="LM Studio has no model someone/m-GGUF:Q2_K"):
        resolve("lmstudio:someone/m-GGUF:Q2_K")


def test_lm_studio_says_where_its_folder_is(tmp_path: Path, gguf: bytes) -> None:
    home, models = tmp_path / "studio", tmp_path / "disk"
    for folder in (models / "a/b", home, tmp_path / "home"):
        folder.mkdir(parents=True)
    (models / "a/b/m.gguf").write_bytes(gguf)
    (home / "settings.json").write_text(json.dumps({"downloadsFolder": str(models)}))
    (tmp_path / "home/.lmstudio-home-pointer").write_text(f"{home}\n")
    assert resolve("lmstudio:a/b:m.gguf").path == models / "a/b/m.gguf"
