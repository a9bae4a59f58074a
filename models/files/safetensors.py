"""Single tensors of a safetensors file, local or in a repository on the Hub, read by ranges of bytes.

So the head of a PRM is fetched without the billions of weights around it.
Format: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError

from ..storage import atomic_write
from .catalog import HubRef

Tensors = dict[str, NDArray[np.float32]]
Read = Callable[[tuple[int, int]], bytes]
"""Reads the bytes from a first one, counted from 0, up to but not including a last one."""


def read_local(path: Path, names: Sequence[str]) -> Tensors:
    """Read tensors of a file as float32.

    Raises:
        ModelCorruptError: It is no safetensors file, or lacks one of them.
    """
    data = path.read_bytes()
    return {name: _tensor(lambda part: data[slice(*part)], name, path.name) for name in names}


def read_remote(ref: HubRef, names: Sequence[str]) -> Tensors:
    """Read tensors of a repository on the Hub as float32, without transferring other weights.

    Raises:
        ModelNotFoundError: The repository has no safetensors.
        ModelUnavailableError: Gated, or the Hub failed.
        ModelCorruptError: It lacks one of the tensors.
    """
    from .download import read_from_hub

    try:
        weight_map = json.loads(read_from_hub(ref, "model.safetensors.index.json"))["weight_map"]
        files = [str(weight_map[name]) for name in names]
    except ModelNotFoundError:
        files = ["model.safetensors"] * len(names)
    except (ValueError, LookupError, TypeError) as error:
        text = f"the index of {ref.repo} lacks a tensor: {error}"
        raise ModelCorruptError(text, slug="bad-safetensors") from error
    return {
        name: _tensor(partial(read_from_hub, ref, file), name, f"{ref.repo}/{file}")
        for name, file in zip(names, files, strict=True)
    }


def save_tensors(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write tensors as a safetensors file, in one step."""
    from safetensors.numpy import save as serialise

    with atomic_write(path) as file:
        file.write(serialise(tensors, dict(metadata)))


def _tensor(read: Read, name: str, source: str) -> NDArray[np.float32]:
    try:
        start = 8 + int.from_bytes(read((0, 8)), "little")
        header = json.loads(read((8, start)))
        if name not in header:
            raise ModelCorruptError(f"{source} has no tensor {name}", slug="bad-safetensors")
        first, last = header[name]["data_offsets"]
        values = _as_float32(read((start + first, start + last)), header[name]["dtype"])
        return values.reshape(header[name]["shape"])
    except (ValueError, LookupError, TypeError) as error:
        raise ModelCorruptError(f"{source} is no safetensors file", slug="bad-safetensors") from error


def _as_float32(data: bytes, dtype: str) -> NDArray[np.float32]:
    if dtype == "BF16":
        # BF16 is the upper half of a float32.
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, {"F32": "<f4", "F16": "<f2"}[dtype]).astype(np.float32)
