"""PRMs from a loopback Hub: whole GGUF files like any model, heads by range reads; then a search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_prm
from numpy.typing import NDArray
from scripted import usage_of

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, ModelUnavailableError
from adascale.engine.request import Settings
from adascale.engine.search.record import replay
from adascale.engine.strategies import BestOfN
from adascale.engine.types import Budget, Problem
from adascale.models.files.catalog import HubRef
from adascale.models.files.safetensors import read_local, read_remote, save_tensors
from adascale.models.options import SessionOptions
from adascale.models.session import Session

from .net import Net

QWEN_PRM = HubRef("Qwen/Qwen2.5-Math-PRM-7B", "98218b1f4b7ca4cca7ec47348b3f8b457a679d97")
Tensors = Mapping[str, NDArray[np.generic]]
WIDTH = tiny.SIZES[0]


def safetensors(tensors: Tensors, kind: str = "F32") -> bytes:
    """A file in the format, put together by hand; ``BF16`` cuts float32 in half."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        raw = tensor.astype("<f4").view("<u4")
        body = (raw >> 16).astype("<u2").tobytes() if kind == "BF16" else raw.tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(body)],
        }
        data += body
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def head() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(1)
    shapes = {"score.0.weight": (WIDTH, WIDTH), "score.0.bias": (WIDTH,), "score.2.weight": (2, WIDTH)}
    return {
        name: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in (shapes | {"score.2.bias": (2,)}).items()
    }


def shards(kind: str = "F32") -> dict[str, bytes]:
    """A head split over two big files, as the Hub has it."""
    bulk = np.zeros(1 << 20, np.float32)
    first, second = dict(list(head().items())[:1]), dict(list(head().items())[1:])
    weight_map = dict.fromkeys(["bulk", *first], "model-00001.safetensors")
    weight_map |= dict.fromkeys(second, "model-00002.safetensors")
    return {
        "model.safetensors.index.json": json.dumps({"weight_map": weight_map}).encode(),
        "model-00001.safetensors": safetensors({"bulk": bulk, **first}, kind),
        "model-00002.safetensors": safetensors({**second, "bulk": bulk}, kind),
    }


def publish(net: Net, ref: HubRef, files: Mapping[str, bytes], *, ranges: bool = True) -> None:
    """Files of a repository, at the commit of its reference."""
    at = f"/{ref.repo}/resolve/{ref.revision}/"
    for name in ("model.safetensors", "model.safetensors.index.json"):
        net.server.add(at + name, b"", status=404, X_Error_Code="EntryNotFound")
    for name, data in files.items():
        net.server.add(at + name, data)
    net.hub("any/other", {})
    net.server.ranges = ranges


REPO = HubRef("some/backbone", "c" * 40)


@pytest.mark.parametrize("kind", ["F32", "BF16"])
def test_tensors_are_read_out_of_big_files_by_range(kind: str, net: Net) -> None:
    files = shards(kind)
    publish(net, REPO, files)
    found = read_remote(REPO, list(head()))
    for name, tensor in head().items():
        np.testing.assert_allclose(found[name], tensor, rtol=0 if kind == "F32" else 1e-2)
        assert found[name].dtype == np.float32
    wanted = sum(tensor.nbytes for tensor in head().values())
    assert sum(map(len, files.values())) > 100 * wanted
    assert net.server.sent.total() < wanted + 2_000


def test_a_repository_with_one_file_has_no_index(net: Net) -> None:
    publish(net, REPO, {"model.safetensors": safetensors({"bulk": np.zeros(1 << 20, np.float32), **head()})})
    found = read_remote(REPO, ["score.2.bias"])
    np.testing.assert_array_equal(found["score.2.bias"], head()["score.2.bias"])
    assert net.server.sent.total() < 2_000


def test_a_server_without_ranges_is_hung_up_on(net: Net) -> None:
    big = safetensors({"bulk": np.zeros(1 << 24, np.float32), **head()})
    publish(net, REPO, {"model.safetensors": big}, ranges=False)
    with pytest.raises(ModelUnavailableError, match="does not serve parts of files"):
        read_remote(REPO, ["score.2.bias"])
    assert net.server.sent.total() < len(big) // 2


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        ({}, ModelNotFoundError, "no such file"),
        (
            {"model.safetensors": safetensors({"other": np.zeros(4)})},
            ModelCorruptError,
            "no tensor score.0",
        ),
        ({"model.safetensors": b"\x07\0\0\0\0\0\0\0<html/>"}, ModelCorruptError, "no safetensors file"),
        (
            {"model.safetensors.index.json": b'{"weight_map": {"a": "b"}}'},
            ModelCorruptError,
            "lacks a tensor: 'score.0",
        ),
        ({"model.safetensors.index.json": b"<html/>"}, ModelCorruptError, "lacks a tensor"),
    ],
)
def test_repositories_without_the_head_are_explained(
    files: dict[str, bytes], kind: type[Exception], words: str, net: Net
) -> None:
    publish(net, REPO, files)
    with pytest.raises(kind, match=words):
        read_remote(REPO, ["score.0.weight"])


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "head.safetensors"
    save_tensors(path, head(), {"repo": "a/b"})
    found = read_local(path, list(head()))
    for name, tensor in head().items():
        np.testing.assert_array_equal(found[name], tensor)
    assert [file.name for file in path.parent.iterdir()] == ["head.safetensors"]
    data = path.read_bytes()
    path.write_bytes(data[: 8 + int.from_bytes(data[:8], "little")])
    with pytest.raises(ModelCorruptError, match=r"head\.safetensors is no safetensors file"):
        read_local(path, list(head()))


def test_the_head_of_qwens_prm_is_fetched_alone_and_kept(tmp_path: Path, chain_gguf: Path, net: Net) -> None:
    gguf = tmp_path / "backbone.gguf"
    tiny_prm.write_qwen2(gguf, name="Qwen2.5 Math PRM 7B")
    publish(net, QWEN_PRM, shards("BF16"))
    options = SessionOptions(generator=str(chain_gguf), prm=str(gguf), branches=2)
    with Session(options) as session:
        described = session.conditions("value").models.prm
        assert described is not None
        assert (described.format, described.file) == ("qwen-math-prm", "backbone.gguf")
        assert all(0 < reward < 1 for reward in rewards(session))
    sent = net.server.sent.total()
    assert sent < 20_000
    with Session(replace(options, offline=True)) as session:
        assert session.conditions("value").models.prm == described
    assert net.server.sent.total() == sent


def rewards(session: Session) -> list[float]:
    """Rewards of a short search with the PRM."""
    ticks = iter(range(10**9))
    driver = session.driver(lambda: float(next(ticks)))
    settings = Settings(BestOfN(2), Budget(max_tokens=200), seed=1)
    tree = replay([event for _, event in driver.run([Problem("1", "What is twice 9?")], settings)])
    assert usage_of(tree).prm_tokens > 0
    found = [node.reward for node in tree if node.reward is not None]
    assert len(found) >= 4
    return found
