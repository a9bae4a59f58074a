from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, ModelUnavailableError
from adascale.models.files.catalog import ModelSpec
from adascale.models.files.gguf_info import read_info
from adascale.models.files.library import ModelFile, locate, resolve
from adascale.models.files.progress import Transfer

New = Callable[..., ModelSpec]
Use = Callable[[ModelSpec], ModelSpec]
Put = Callable[..., Path]


def test_a_file_of_ones_own_is_used_where_it_lies(tmp_path: Path, gguf: bytes) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(gguf)
    for ref in (str(path), f"file:{path}"):
        file = resolve(ref, offline=True)
        assert file == ModelFile(ref, path, hashlib.sha256(gguf).hexdigest(), None, "path", read_info(path))
        assert file.size_bytes == len(gguf)
    assert not (tmp_path / "hf").exists()


def test_a_broken_file_of_ones_own_is_refused(tmp_path: Path, gguf: bytes) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(gguf[:-100])
    with pytest.raises(ModelCorruptError, match=r"own\.gguf is incomplete"):
        resolve(str(path))
    with pytest.raises(ModelNotFoundError, match="there is no file"):
        resolve(str(tmp_path / "none.gguf"))


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


@pytest.mark.parametrize(
    "text", ['{"torn', "[]", "[" * 100_000, '{"PATH": 5}', '{"PATH": [1]}', '{"PATH": [SIZE, TIME, "no"]}']
)
def test_a_memory_that_is_damaged_is_no_memory(
    put: Put, tmp_path: Path, gguf: bytes, new_spec: New, catalogue: Use, text: str
) -> None:
    path = put(catalogue(new_spec(gguf)), gguf)
    memory = tmp_path / "cache" / "adascale" / "verified.json"
    memory.parent.mkdir(parents=True)
    status = path.stat()
    for word, value in {"PATH": path.resolve(), "SIZE": status.st_size, "TIME": status.st_mtime_ns}.items():
        text = text.replace(word, str(value))
    memory.write_text(text)
    resolve("tiny")
    assert [entry[2] for entry in json.loads(memory.read_text()).values()] == [
        hashlib.sha256(gguf).hexdigest()
    ]


def test_the_same_bytes_of_another_revision_are_adopted(
    put: Put, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    spec = catalogue(new_spec(gguf))
    put(spec, gguf, revision="d" * 40)
    file = resolve("tiny", offline=True)
    assert file.path.parent.name == spec.hub.revision
    assert file.path.read_bytes() == gguf


def test_a_repository_reference_finds_what_is_cached(
    put: Put, gguf: bytes, new_spec: New, catalogue: Use
) -> None:
    catalogue(new_spec(gguf, name="other"))
    spec = new_spec(gguf)
    link = put(spec, gguf)
    file = resolve("hf:someone/tiny-GGUF:q4_k_m", offline=True)
    assert (file.path, file.spec, file.sha256) == (link, None, spec.sha256)
    assert locate("someone/tiny-GGUF:Q8_0") is None


def test_main_is_preferred_to_other_snapshots(
    put: Put, hub_cache: Path, make_gguf: Callable[..., bytes], new_spec: New, catalogue: Use
) -> None:
    old, new = make_gguf(tensors={"t": (4, 4)}), make_gguf(tensors={"t": (8, 4)})
    catalogue(new_spec(old, name="other"))
    spec = new_spec(old)
    put(spec, old, revision="a" * 40)
    link = put(spec, new, revision="b" * 40)
    refs = hub_cache / "models--someone--tiny-GGUF" / "refs"
    refs.mkdir()
    (refs / "main").write_text("b" * 40)
    assert resolve("someone/tiny-GGUF", offline=True).path == link
    assert resolve("someone/tiny-GGUF@" + "a" * 40, offline=True).size_bytes == len(old)


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
