"""The header of a GGUF file, read in milliseconds and without llama.cpp.

llama.cpp answers every broken file with "failed to load model". Reading the header first gives the
cause, and tells a torn download from a whole one: each tensor's end must lie inside the file.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, command, excerpt, human_bytes

_NEWEST_VERSION = 3

# GGUF value type: its struct format, from gguf.h.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9

# Per-layer numbers (heads of a hybrid model) are short; vocabularies are long and are skipped.
_LONGEST_ARRAY_KEPT = 1024

_MOST_DIMENSIONS = 4

# ggml tensor type: (weights per block, bytes per block), from ggml.h and ggml-common.h.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip


def read_header(path: Path) -> GGUFHeader:
    """Read the header of a model.

    A file that passes is whole, and one that llama.cpp can read.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelCorruptError: It is something else, too new or torn, or one of several parts of a model.
    """
    if not path.exists():
        hint = f"{command('list')} shows what is here"
        raise ModelNotFoundError(f"there is no file {path}", hint=hint, slug="model-not-found")
    if path.is_dir():
        raise ModelCorruptError(f"{path.name} is a directory, not a model file")
    if path.stat().st_size == 0:
        raise ModelCorruptError(f"{path.name} is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _check_start(path.name, data[:64])
        header = GGUFHeader(path.name, data)
        try:
            header.parse()
        except (struct.error, OverflowError) as error:
            here = f"{len(data):,} bytes are here"
            raise ModelCorruptError(
                f"{path.name} is incomplete", f"its header ends early, or a length in it is wrong ({here})"
            ) from error
    count = header.number("split.count", 1)
    if count > 1:
        raise ModelCorruptError(
            f"{path.name} is one of {count} parts of a model, and only models in one file are opened",
            hint="join them first: llama-gguf-split --merge FIRST-PART WHOLE.gguf",
        )
    return header


def _check_start(name: str, start: bytes) -> None:
    version = int.from_bytes(start[4:8], "little")
    text = start.decode("latin-1").lstrip()
    if text.lower().startswith(("<!doctype", "<html", "<?xml")):
        problem = f'is a web page, not a model (starts with "{text.split()[0]}")'
    elif text.startswith("version https://git-lfs"):
        problem = "is a Git LFS pointer, not the model itself (git lfs pull fetches it)"
    elif start[:4] != b"GGUF":
        problem = f"is not a GGUF file (starts with {start[:4]!r})"
    elif not 2 <= version <= _NEWEST_VERSION:
        problem = f"is GGUF version {version}; this llama.cpp reads up to {_NEWEST_VERSION}"
    else:
        return
    raise ModelCorruptError(f"{name} {problem}")


class GGUFHeader:
    """A cursor over a mapped file: key/values, then the table of tensors; ``parse`` fills the attributes.

    The ``gguf`` package builds Python lists of the whole vocabulary first, 0.3 s for a big one; here long
    arrays are stepped over.

    Args:
        file: Name of the file, for errors.
        data: Its bytes.

    Attributes:
        size_bytes: Size of the file.
        values: Scalars and short number arrays by key.
        lengths: Number of elements of every array.
        elements: Number of elements of every tensor.
    """

    def __init__(self, file: str, data: mmap.mmap) -> None:
        self.size_bytes = len(data)
        self.values: dict[str, str | float | list[float]] = {}
        self.lengths: dict[str, int] = {}
        self.elements: dict[str, int] = {}
        self._file, self._data, self._at = file, data, 8

    def text(self, key: str) -> str:
        """Look up a text, empty where the header has none."""
        value = self.values.get(key, "")
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: int = 0) -> int:
        """Look up a number; of a list, one for each layer, the mean rounded up.

        Raises:
            ModelCorruptError: It is negative, infinite or no number.
        """
        value = self.values.get(key, default)
        if isinstance(value, list):
            value = sum(value) / len(value) if value else default
        if isinstance(value, str) or not (value == default or 0 <= value < math.inf):
            raise self._damage(f"{excerpt(key)} is {excerpt(str(value), 40)}")
        return math.ceil(value)

    def parse(self) -> None:
        """Read everything up to the tensors' data.

        Raises:
            struct.error, OverflowError: The header is cut off.
            ModelCorruptError: Its contents are impossible, or a tensor lies beyond the end of the file.
        """
        tensors, fields = int(self._scalar("Q")), int(self._scalar("Q"))
        for _ in range(fields):
            self._field()
        alignment = self.number("general.alignment", 32) or 32
        ends = [self._tensor() for _ in range(tensors)]
        start = -(-self._at // alignment) * alignment
        whole, last = max(ends, default=(0, ""))
        if start + whole > self.size_bytes and ends:
            here = f"{human_bytes(self.size_bytes)} of {human_bytes(start + whole)} are here"
            raise ModelCorruptError(
                f"{self._file} is incomplete",
                f"tensor {excerpt(last)} lies beyond the end of the file ({here})",
            )

    def _field(self) -> None:
        key, kind = self._string(), int(self._scalar("I"))
        if kind == _STRING:
            self.values[key] = self._string()
            return
        if kind in _SCALARS:
            self.values[key] = self._scalar(_SCALARS[kind])
            return
        if kind != _ARRAY:
            raise self._damage(f"its header has a value of unknown type {kind}")
        kind, length = int(self._scalar("I")), int(self._scalar("Q"))
        self.lengths[key] = length
        if kind == _STRING:
            for _ in range(length):
                self._at += 8 + struct.unpack_from("<Q", self._data, self._at)[0]
        elif kind not in _SCALARS:
            raise self._damage(f"{excerpt(key)} is an array of values of type {kind}")
        elif length <= _LONGEST_ARRAY_KEPT:
            self.values[key] = [float(self._scalar(_SCALARS[kind])) for _ in range(length)]
        else:
            self._at += length * struct.calcsize(f"<{_SCALARS[kind]}")

    def _tensor(self) -> tuple[int, str]:
        """Read an entry of the table; returns the end of its data, from the first tensor on, and its name."""
        name, dimensions = self._string(), int(self._scalar("I"))
        if dimensions > _MOST_DIMENSIONS:
            raise self._damage(f"its tensor {excerpt(name)} has {dimensions:,} dimensions")
        count = math.prod(int(self._scalar("Q")) for _ in range(dimensions))
        kind, offset = int(self._scalar("I")), int(self._scalar("Q"))
        self.elements[name] = count
        # llama.cpp checks the size of tensors of a type that this table lacks; here only their start is.
        per_block, size = _BLOCKS.get(kind, (1, 0))
        return offset + count // per_block * size, name

    def _scalar(self, form: str) -> float:
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return value  # type: ignore[no-any-return]  # struct is untyped by nature

    def _string(self) -> str:
        length = int(self._scalar("Q"))
        if length > self.size_bytes - self._at:
            raise struct.error("text beyond the end of the file")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", errors="replace")

    def _damage(self, fact: str) -> ModelCorruptError:
        return ModelCorruptError(f"{self._file} is damaged", fact)
