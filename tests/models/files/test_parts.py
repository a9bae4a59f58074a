"""Models in several files."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import tiny

from adascale.engine.errors import ModelCorruptError, ModelUnavailableError
from adascale.models.files.gguf import Part, parts_of
from adascale.models.files.gguf_info import read_info
from adascale.models.files.library import installed_models, locate, remove, resolve
from adascale.models.llama.native import AbortFlag
from adascale.models.llama.prefixes import evaluate_tokens
from adascale.models.llama.runtime import LlamaContext, LlamaModel

Publish = Callable[..., None]


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(gguf, "GGUFWriter", functools.partial(gguf.GGUFWriter, split_max_tensors=8))
    tiny.write_random(tmp_path / "m-F32.gguf")
    return sorted(tmp_path.glob("m-F32-*.gguf"))


def test_places_are_read_from_names() -> None:
    part = Part.of("folder/m-Q4_0-00002-of-00003.gguf")
    assert part == Part("folder/m-Q4_0", 2, 3)
    assert part.names()[2] == "folder/m-Q4_0-00003-of-00003.gguf"
    for name in ("m.gguf", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-1-of-2.gguf"):
        assert Part.of(name) is None


def test_a_model_in_parts_is_the_model_in_one_file(parts: list[Path], random_gguf: Path) -> None:
    assert len(parts) == 3
    whole, info = read_info(random_gguf), read_info(parts[0])
    assert info.size_bytes == sum(part.stat().st_size for part in parts)
    assert (info.parameter_count, info.active_parameters) == (whole.parameter_count, whole.active_parameters)
    assert logits_of(parts[0]) == logits_of(random_gguf)


def logits_of(path: Path) -> bytes:
    model = LlamaModel(path)
    context = LlamaContext(model, 256, 1, 1, AbortFlag())
    found = context.logits(evaluate_tokens(context, 0, 0, [1, 2, 3])).tobytes()
    context.close()
    model.close()
    return found


def test_many_of_a_great_many_parts_are_told_soon(tmp_path: Path) -> None:
    for name in Part("m", 1, 99_999).names()[:1000]:
        (tmp_path / name).touch()
    began = time.process_time()
    with pytest.raises(ModelCorruptError, match="is incomplete") as raised:
        parts_of(tmp_path / "m-00001-of-99999.gguf")
    assert raised.value.facts[0] == "missing from its folder: 98999 of 99999 parts"
    assert time.process_time() - began < 6


def test_its_digest_is_that_of_all_parts(parts: list[Path]) -> None:
    before = resolve(str(parts[0]))
    digests = [hashlib.sha256(part.read_bytes()).hexdigest() for part in parts]
    assert before.sha256 == hashlib.sha256(" ".join(digests).encode()).hexdigest()
    parts[2].write_bytes(parts[2].read_bytes()[:-1] + b"?")
    assert resolve(str(parts[0])).sha256 != before.sha256


def test_a_missing_part_is_named(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(ModelCorruptError, match=r"m-F32-00001-of-00003\.gguf is incomplete") as raised:
        resolve(str(parts[0]))
    assert raised.value.facts == ("missing from its folder: 1 of 3 parts", parts[1].name)


def test_a_torn_part_is_named(parts: list[Path]) -> None:
    parts[2].write_bytes(parts[2].read_bytes()[:-100])
    with pytest.raises(ModelCorruptError, match=r"m-F32-00003-of-00003\.gguf is incomplete"):
        resolve(str(parts[0]))


def test_a_later_part_leads_to_the_first(parts: list[Path]) -> None:
    with pytest.raises(ModelCorruptError, match="is part 2 of a model in 3 files") as raised:
        resolve(str(parts[1]))
    assert parts[0].name in raised.value.hint


def test_a_part_under_another_name_is_no_whole_model(parts: list[Path], tmp_path: Path) -> None:
    parts[0].rename(tmp_path / "model.gguf")
    with pytest.raises(ModelCorruptError, match="is one of 3 parts of a model"):
        resolve(str(tmp_path / "model.gguf"))


def put_in_cache(parts: list[Path], folder: Path) -> list[Path]:
    """Put parts into a repository of the cache; returns their blobs."""
    blobs = []
    for part in parts:
        data = part.read_bytes()
        blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
        link = folder / "snapshots" / ("c" * 40) / part.name
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        link.symlink_to(blob)
        blobs.append(blob)
    return blobs


def test_parts_in_the_cache_are_one_model(parts: list[Path], hub_cache: Path) -> None:
    folder = hub_cache / "models--someone--big-GGUF"
    last = put_in_cache(parts, folder)[-1]
    assert [file.name for file in installed_models().files] == ["someone/big-GGUF:F32"]
    assert resolve("hf:someone/big-GGUF").path.name == parts[0].name
    last.write_bytes(last.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelCorruptError, match="is not the file that was published"):
        resolve("hf:someone/big-GGUF")
    assert remove("hf:someone/big-GGUF") == sum(part.stat().st_size for part in parts)
    assert not folder.exists()


def test_a_model_with_a_missing_part_can_be_removed(parts: list[Path], hub_cache: Path) -> None:
    folder = hub_cache / "models--someone--big-GGUF"
    put_in_cache([parts[0], parts[2]], folder)
    [error] = installed_models().errors
    assert "is incomplete" in error.message
    size = parts[0].stat().st_size + parts[2].stat().st_size
    found = locate("hf:someone/big-GGUF")
    assert found is not None
    assert found.size_bytes == size
    assert remove("hf:someone/big-GGUF") == size
    assert not folder.exists()


def test_parts_on_the_hub_are_fetched_by_its_own_program(fake_hub: Publish) -> None:
    fake_hub("someone/big-GGUF", {"m-Q4_K_M-00001-of-00002.gguf": b"a", "m-Q4_K_M-00002-of-00002.gguf": b"b"})
    with pytest.raises(ModelUnavailableError, match=r"someone/big-GGUF has 2 files") as raised:
        resolve("hf:someone/big-GGUF")
    assert raised.value.hint.startswith('hf download someone/big-GGUF --include "m-Q4_K_M-*.gguf"')
