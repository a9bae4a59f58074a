"""Single tensors out of safetensors files, by range: of a local file, or of a repository on the Hub.

So the head of a PRM is fetched without the billions of weights around it.
Format: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, ModelUnavailableError

from ..storage import atomic_write
from .catalog import HubRef
from .sources import hub
from .validation import is_file_name, quote

if TYPE_CHECKING:
    import httpx2

Tensors = dict[str, NDArray[np.float32]]
Read = Callable[[int, int], bytes]
"""Bytes from a first (counted from 0) up to, not including, a last."""

_LONGEST_HEADER = 100_000_000
_LARGEST_TENSOR = 1 << 30
_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}


def read_local(path: Path, names: Sequence[str]) -> Tensors:
    """Tensors of a file, as float32.

    Raises:
        ModelCorruptError: it is no safetensors file, or lacks one of them.
    """
    with path.open("rb") as file:

        def read(start: int, stop: int) -> bytes:
            file.seek(start)
            return file.read(stop - start)

        return _tensors(read, names, path.name)


def read_remote(ref: HubRef, names: Sequence[str]) -> Tensors:
    """Tensors of a repository on the Hub, as float32; no other weights are transferred.

    Raises:
        ModelNotFoundError: the repository has no safetensors.
        ModelUnavailableError: gated, or the Hub failed.
        ModelCorruptError: it lacks one of the tensors.
    """
    found: Tensors = {}
    for file, wanted in _files_of(ref, names).items():
        found |= _tensors(_remote(ref, file), wanted, f"{ref.repo}/{file}")
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
        data = read(8 + length + stored.start, 8 + length + stored.stop)
        if len(data) != stored.stop - stored.start:
            raise _broken_error(
                source, name, f"{len(data):,} of {stored.stop - stored.start:,} bytes are here"
            )
        found[name] = _as_float32(data, stored.dtype).reshape(stored.shape)
    return found


@dataclass(frozen=True, slots=True)
class _StoredTensor:
    """A tensor in a file: the bytes of its numbers behind the header, at least one and at most a gigabyte."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def _stored_tensor(entry: object) -> _StoredTensor | None:
    """The tensor that an entry of a header describes; None where it describes none that can be."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(stop)]}:
            counts = [count for count in shape if isinstance(count, int) and count > 0]
            size = prod(counts) * _WIDTHS.get(dtype, 0)
            is_sound = len(counts) == len(shape) and size == stop - start and 0 < size <= _LARGEST_TENSOR
            return _StoredTensor(dtype, tuple(counts), start, stop) if is_sound and start >= 0 else None
        case _:
            return None


def _broken_error(source: str, tensor: str, fact: str) -> ModelCorruptError:
    return ModelCorruptError(f"{source} is broken at tensor {tensor}", fact, slug="bad-safetensors")


def _as_float32(data: bytes, dtype: str) -> NDArray[np.float32]:
    if dtype == "BF16":
        # The upper half of a float32.
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, "<f4" if dtype == "F32" else "<f2").astype(np.float32)


def _files_of(ref: HubRef, names: Sequence[str]) -> dict[str, list[str]]:
    """Which file of a repository has which of the tensors."""
    try:
        page = _remote(ref, "model.safetensors.index.json")(0, 0)
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


def _remote(ref: HubRef, file: str) -> Read:
    """Reads ranges of a file on the Hub; the empty range stands for the whole file."""
    from .sources import http

    url = hub.file_url(ref.repo, file, ref.revision)

    def read(start: int, stop: int) -> bytes:
        # A part of what was compressed on the way would be a part of something else.
        part = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"} if stop else {}

        @contextmanager
        def request(headers: dict[str, str]) -> Iterator[httpx2.Response]:
            with hub.request(url)(headers | part) as answer:
                if part and answer.status_code == 200:
                    # Hung up on before it sends everything.
                    raise _range_error(file, start, stop)
                yield answer

        with hub.translate_errors(ref.repo, f"{ref.repo}/{file}"):
            data = http.read(request, stop - start or http.PAGE_BYTES).content
        if part and len(data) != stop - start:
            raise _range_error(file, start, stop)
        return data

    return read


def _range_error(file: str, start: int, stop: int) -> ModelUnavailableError:
    what = f"{file}, bytes {start:,} to {stop:,}"
    return ModelUnavailableError(f"{hub.host()} does not serve parts of files", what)
