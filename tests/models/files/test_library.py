from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, ModelUnavailableError, UsageError
from adascale.models.files.cache import Transfer
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.gguf import read_info
from adascale.models.files.library import ModelFile, installed_models, locate, remove, resolve

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Put = Callable[..., Path]


def test_a_file_of_ones_own_is_used_where_it_lies(tmp_path: Path, gguf: bytes) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(gguf)
    file = resolve(str(path), offline=True)
    digest = hashlib.sha256(gguf).hexdigest()
    assert file == ModelFile(str(path), path, digest, None, "path", read_info(path))
    assert file.size_bytes == len(gguf)
    with pytest.raises(UsageError, match=r"own\.gguf is a file of your own"):
        remove(str(path))
    assert path.exists()


def test_a_cached_file_is_used_in_place_without_the_network(
    put: Put, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    spec = catalogue(new_spec(gguf))
    link = put(spec, gguf)
    file = resolve("tiny")
    assert (file.path, file.source, file.sha256, file.spec) == (link, "cache", spec.sha256, spec)
    assert resolve("tiny", offline=True).path == link


def test_the_checksum_is_computed_once_and_again_after_a_change(
    put: Put, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    link = put(catalogue(new_spec(gguf)), gguf)
    seen: list[Transfer] = []
    resolve("tiny", on_progress=seen.append)
    assert seen == [Transfer("tiny", len(gguf), len(gguf), "checking")]
    resolve("tiny", on_progress=seen.append)
    assert len(seen) == 1
    link.resolve().write_bytes(gguf[:-1] + b"?")
    with pytest.raises(ModelCorruptError, match="tiny is not the file that was published") as raised:
        resolve("tiny", on_progress=seen.append)
    spoiled = hashlib.sha256(gguf[:-1] + b"?").hexdigest()
    assert [fact.split()[-1] for fact in raised.value.facts] == [hashlib.sha256(gguf).hexdigest(), spoiled]
    assert "--force" in raised.value.hint


def test_the_same_bytes_of_another_revision_are_adopted(
    put: Put, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    spec = catalogue(new_spec(gguf))
    put(spec, gguf, revision="d" * 40)
    assert resolve("tiny", offline=True).path.read_bytes() == gguf


def test_a_repository_reference_finds_what_is_cached(
    put: Put, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    catalogue(new_spec(gguf, name="other"))
    spec = new_spec(gguf)
    link = put(spec, gguf)
    file = resolve("hf:someone/tiny-GGUF:q4_k_m", offline=True)
    assert (file.path, file.spec, file.sha256) == (link, None, spec.sha256)
    assert locate("someone/tiny-GGUF:Q8_0") is None


def test_offline_touches_nothing_and_says_how_to_go_on(
    gguf: bytes, new_spec: New, catalogue: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue(new_spec(gguf, packages=1))
    monkeypatch.setattr("adascale.models.files.download.fetch", lambda *_: pytest.fail("went to the network"))
    with pytest.raises(ModelUnavailableError, match="offline mode is on") as raised:
        resolve("tiny", offline=True)
    assert raised.value.slug == "offline"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError, match="offline mode is on"):
        resolve("tiny")


def test_installed_lists_each_file_once_and_knows_its_name(
    put: Put, make_gguf: Callable[..., bytes], gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    spec = catalogue(new_spec(gguf))
    link = put(spec, gguf)
    other = make_gguf(tensors={"t": (2, 2)})
    put(new_spec(other, name="another"), other)
    twin = link.parent.parent / ("e" * 40) / spec.file
    twin.parent.mkdir()
    twin.symlink_to(os.path.relpath(link.resolve(), twin.parent))
    assert [(file.name, file.spec) for file in installed_models().files] == [
        ("tiny", spec),
        ("someone/another-GGUF:Q4_K_M", None),
    ]


def test_remove_frees_the_bytes_and_leaves_the_rest(
    put: Put, hub_cache: Path, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    link = put(catalogue(new_spec(gguf)), gguf)
    neighbour = link.with_name("config.json")
    neighbour.write_text("{}")
    assert remove("tiny") == len(gguf)
    assert neighbour.exists()
    assert locate("tiny") is None
    assert not list((hub_cache / "models--someone--tiny-GGUF" / "blobs").iterdir())
    with pytest.raises(ModelNotFoundError, match="tiny is not on this machine"):
        remove("tiny")
