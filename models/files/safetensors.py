"""Single tensors of a safetensors file, local or in a repository on the Hub, read by ranges of bytes.

So the head of a PRM is fetched without the billions of weights around it.
Format: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError

from ..storage import atomic_write
from . import hub
from .catalog import HubRef
from .validation import is_file_name, quote

Tensors = dict[str, NDArray[np.float32]]
Read = Callable[[int, int], bytes]
"""Reads the bytes from a first one, counted from 0, up to but not including a last one."""

_LONGEST_INDEX = 10_000_000
_LONGEST_HEADER = 100_000_000
_LARGEST_TENSOR = 1 << 30
_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}


def read_local(path: Path, names: Sequence[str]) -> Tensors:
    """Read tensors of a file as float32.

    Raises:
        ModelCorruptError: It is no safetensors file, or lacks one of them.
    """
    with path.open("rb") as file:

        def read(start: int, stop: int) -> bytes:
            file.seek(start)
            return file.read(stop - start)

        return _tensors(read, names, path.name)


def read_remote(ref: HubRef, names: Sequence[str]) -> Tensors:
    """Read tensors of a repository on the Hub as float32, without transferring other weights.

    Raises:
        ModelNotFoundError: The repository has no safetensors.
        ModelUnavailableError: Gated, or the Hub failed.
        ModelCorruptError: It lacks one of the tensors.
    """
    found: Tensors = {}
    for file, wanted in _files_of(ref, names).items():

        def read(start: int, stop: int, file: str = file) -> bytes:
            return hub.read_part(ref.repo, file, ref.revision, start, stop)

        found |= _tensors(read, wanted, f"{ref.repo}/{file}")
    return found


def save_tensors(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write tensors as a safetensors file, in one step."""
    from safetensors.numpy import save as serialise

    with atomic_write(path) as file:
        file.write(serialise(tensors, dict(metadata)))


def _tensors(read: Read, names: Sequence[str], source: str) -> Tensors:
    length = int.from_bytes(read(0, 8), "little")
    try:
        header = json.loads(read(8, 8 + length)) if length <= _LONGEST_HEADER else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ModelCorruptError(f"{source} is not a safetensors file", slug="bad-safetensors")
    found: Tensors = {}
    for name in names:
        if name not in header:
            raise ModelCorruptError(f"{source} has no tensor {name}", slug="no-tensor")
        stored = _stored_tensor(header[name])
        if stored is None:
            raise _broken_error(source, name, f"its place is {quote(header[name])}")
        dtype, shape, start, stop = stored
        data = read(8 + length + start, 8 + length + stop)
        if len(data) != stop - start:
            raise _broken_error(source, name, f"{len(data):,} of {stop - start:,} bytes are here")
        found[name] = _as_float32(data, dtype).reshape(shape)
    return found


def _stored_tensor(entry: object) -> tuple[str, list[int], int, int] | None:
    """Read an entry of a header: type, shape, and place of the bytes behind the header.

    None if it describes no possible tensor, or one of more than a gigabyte.
    """
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(stop)]}:
            counts = [count for count in shape if isinstance(count, int) and count > 0]
            size = prod(counts) * _WIDTHS.get(dtype, 0)
            is_sound = len(counts) == len(shape) and size == stop - start and 0 < size <= _LARGEST_TENSOR
            return (dtype, counts, start, stop) if is_sound and start >= 0 else None
        case _:
            return None


def _broken_error(source: str, tensor: str, fact: str) -> ModelCorruptError:
    return ModelCorruptError(f"{source} is broken at tensor {tensor}", fact, slug="bad-safetensors")


def _as_float32(data: bytes, dtype: str) -> NDArray[np.float32]:
    if dtype == "BF16":
        # BF16 is the upper half of a float32.
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, "<f4" if dtype == "F32" else "<f2").astype(np.float32)


def _files_of(ref: HubRef, names: Sequence[str]) -> dict[str, list[str]]:
    """Find the files of a repository that hold the tensors: file name to names of tensors."""
    try:
        page = hub.read_unverified(ref.repo, "model.safetensors.index.json", ref.revision, _LONGEST_INDEX)
    except ModelNotFoundError:
        return {"model.safetensors": list(names)}
    try:
        index = dict(json.loads(page)["weight_map"])
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelCorruptError(f"{ref.repo} has a broken index", slug="bad-safetensors") from error
    files: dict[str, list[str]] = {}
    for name in names:
        if name not in index:
            raise ModelCorruptError(f"{ref.repo} has no tensor {name}", slug="no-tensor")
        if not is_file_name(index[name]):
            fact = f"its file is {quote(index[name])}, not a name inside the repository"
            raise _broken_error(ref.repo, name, fact)
        files.setdefault(index[name], []).append(name)
    return files
