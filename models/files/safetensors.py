"""Single tensors out of safetensors files, by range: of a local file, or of a repository on the Hub.

So the head of a PRM is fetched without the billions of weights around it.
Format: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, ModelUnavailableError

from ..storage import atomic_write
from . import hub
from .catalog import HubRef
from .validation import is_file_name, quote

if TYPE_CHECKING:
    import httpx2

Tensors = dict[str, NDArray[np.float32]]
Read = Callable[[int, int], bytes]
"""Bytes from a first (counted from 0) up to, not including, a last."""

_LONGEST_HEADER = 100_000_000
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
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise ModelCorruptError(f"{source} is not a safetensors file", slug="bad-safetensors")
    found: Tensors = {}
    for name in names:
        entry = header.get(name)
        if entry is None:
            raise ModelCorruptError(f"{source} has no tensor {name}", slug="no-tensor")
        start, stop = (8 + length + int(offset) for offset in entry["data_offsets"])
        size = prod(entry["shape"]) * _WIDTHS.get(entry["dtype"], 0)
        data = read(start, stop) if size == stop - start else b""
        if len(data) != size or not size:
            what = f"{entry['dtype']} {entry['shape']}, {stop - start:,} bytes"
            raise ModelCorruptError(f"{source} is broken at tensor {name}", what, slug="bad-safetensors")
        found[name] = _as_float32(data, entry["dtype"]).reshape(entry["shape"])
    return found


def _as_float32(data: bytes, dtype: str) -> NDArray[np.float32]:
    if dtype == "BF16":
        # The upper half of a float32.
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, "<f4" if dtype == "F32" else "<f2").astype(np.float32)


def _files_of(ref: HubRef, names: Sequence[str]) -> dict[str, list[str]]:
    """Which file of a repository has which of the tensors."""
    try:
        index = json.loads(_remote(ref, "model.safetensors.index.json")(0, 0))["weight_map"]
    except ModelNotFoundError:
        return {"model.safetensors": list(names)}
    files: dict[str, list[str]] = {}
    for name in names:
        if name not in index:
            raise ModelCorruptError(f"{ref.repo} has no tensor {name}", slug="no-tensor")
        if not is_file_name(index[name]):
            what = f"its file is {quote(index[name])}, not a name inside the repository"
            raise ModelCorruptError(f"{ref.repo} is broken at tensor {name}", what, slug="bad-safetensors")
        files.setdefault(index[name], []).append(name)
    return files


def _remote(ref: HubRef, file: str) -> Read:
    """Reads ranges of a file on the Hub; the empty range stands for the whole file."""
    from . import http

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

        with hub.explained(ref.repo, f"{ref.repo}/{file}"):
            data = http.read(request, stop - start or http.PAGE_BYTES).content
        if part and len(data) != stop - start:
            raise _range_error(file, start, stop)
        return data

    return read


def _range_error(file: str, start: int, stop: int) -> ModelUnavailableError:
    what = f"{file}, bytes {start:,} to {stop:,}"
    return ModelUnavailableError(f"{hub.host()} does not serve parts of files", what)
