"""Single tensors out of big safetensors files: by range, and no more than that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, ModelUnavailableError
from adascale.models.files.catalog import HubRef
from adascale.models.files.safetensors import read_local, read_remote, save_tensors

from .heads import head, safetensors, shards

REPO = HubRef("some/backbone", "c" * 40)


@pytest.mark.parametrize("kind", ["F32", "BF16"])
def test_tensors_are_read_out_of_big_files_by_range(
    kind: str, publish: Callable[..., None], server: Any
) -> None:
    files = shards(kind)
    publish(REPO, files)
    found = read_remote(REPO, list(head()))
    for name, tensor in head().items():
        np.testing.assert_allclose(found[name], tensor, rtol=0 if kind == "F32" else 1e-2)
        assert found[name].dtype == np.float32
    wanted = sum(tensor.nbytes for tensor in head().values())
    assert sum(map(len, files.values())) > 100 * wanted
    assert server.sent.total() < wanted + 2_000


def test_a_repository_with_one_file_has_no_index(publish: Callable[..., None], server: Any) -> None:
    publish(REPO, {"model.safetensors": safetensors({"bulk": np.zeros(1 << 20, np.float32), **head()})})
    found = read_remote(REPO, ["score.2.bias"])
    np.testing.assert_array_equal(found["score.2.bias"], head()["score.2.bias"])
    assert server.sent.total() < 2_000


def test_a_server_without_ranges_is_hung_up_on(publish: Callable[..., None], server: Any) -> None:
    big = safetensors({"bulk": np.zeros(1 << 24, np.float32), **head()})
    publish(REPO, {"model.safetensors": big}, ranges=False)
    with pytest.raises(ModelUnavailableError, match="does not serve parts of files"):
        read_remote(REPO, ["score.2.bias"])
    assert server.sent.total() < len(big) // 2


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
            "no tensor score.0",
        ),
    ],
)
def test_repositories_without_the_head_are_explained(
    files: dict[str, bytes], kind: type[Exception], words: str, publish: Callable[..., None]
) -> None:
    publish(REPO, files)
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
