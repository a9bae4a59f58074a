"""The header of a GGUF, read in milliseconds and without llama.cpp.

llama.cpp answers every broken file with "failed to load model". Reading the header first gives the
cause, and tells a torn download from a whole one: each tensor's end must lie inside the file.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from math import ceil, prod
from pathlib import Path

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, excerpt

from .split import parts_of

NEWEST_VERSION = 3
TOO_NEW = f"is GGUF version {{}}; this llama.cpp reads up to {NEWEST_VERSION}"

Scalar = str | int | float | bool

# GGUF value type: its struct format, from gguf.h.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")

# Per-layer numbers (heads of a hybrid model) are short; vocabularies are long and are skipped.
_LONGEST_ARRAY_KEPT = 1024

# What reading a header may cost, whatever it claims: under 2 s and 100 MB. The largest models have some 2,000
# tensors and vocabularies of 300,000 words.
_MOST_ENTRIES = 100_000
_MOST_STRINGS = 8_000_000
_MOST_NUMBERS = 1 << 32
_MOST_TEXT_BYTES = 16 << 20
_MOST_DIMENSIONS = 4
_LARGEST_NUMBER = (1 << 63) - 1

# ggml tensor type: (weights per block, bytes per block), from ggml.h and ggml-common.h.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip


def read_header(path: Path) -> GGUFHeader:
    """The header of a model's first part, with the tensors and the size of all parts.

    The file is then one that llama.cpp can read, and whole.

    Args:
        path: The file; of a model in several parts the first.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelCorruptError: It is something else, too new or torn, or a part is missing.
    """
    first, *others = [_read_part(part) for part in parts_of(path)]
    count = first.number("split.count", 1)
    if count > 1 and count != 1 + len(others):
        raise ModelCorruptError(
            f"{path.name} is one of {count} parts of a model",
            "the others are found by their names, and its own name is not that of a part",
            hint=f"name it as it was published, ...-00001-of-{count:05}.gguf, beside the others",
        )
    for other in others:
        first.elements |= other.elements
        first.size_bytes += other.size_bytes
    return first


def _read_part(path: Path) -> GGUFHeader:
    if not path.exists():
        raise ModelNotFoundError(f"there is no file {path}", slug="model-not-found")
    if path.is_dir():
        raise ModelCorruptError(f"{path.name} is a directory, not a model file")
    if path.stat().st_size == 0:
        raise ModelCorruptError(f"{path.name} is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _check_start(path.name, data)
        header = GGUFHeader(path.name, data)
        try:
            header.parse()
        except (struct.error, OverflowError) as error:
            here = f"{len(data):,} bytes are here"
            raise ModelCorruptError(
                f"{path.name} is incomplete", f"its header ends early, or a length in it is wrong ({here})"
            ) from error
    _check_end(path.name, header)
    return header


def _check_start(name: str, data: mmap.mmap) -> None:
    start = data[:64]
    if start[:4] != b"GGUF":
        raise ModelCorruptError(f"{name} {_what_it_is(start)}")
    version = int.from_bytes(start[4:8], "little")
    if version and version & 0xFFFF == 0:
        raise ModelCorruptError(f"{name} is a big-endian GGUF; this llama.cpp reads little-endian ones")
    if not 2 <= version <= NEWEST_VERSION:
        raise ModelCorruptError(f"{name} {TOO_NEW.format(version)}")


def _what_it_is(start: bytes) -> str:
    text = start.decode("latin-1").lstrip()
    if text.lower().startswith(("<!doctype", "<html", "<?xml")):
        return f'is a web page, not a model (starts with "{text.split()[0]}")'
    if text.startswith("version https://git-lfs"):
        return "is a Git LFS pointer, not the model itself (git lfs pull fetches it)"
    return f"is not a GGUF file (starts with {start[:4]!r})"


def _check_end(name: str, header: GGUFHeader) -> None:
    size = header.size_bytes
    for tensor, end in header.ends:
        if end > size:
            whole = max(end for _, end in header.ends)
            raise ModelCorruptError(
                f"{name} is incomplete",
                f"tensor {excerpt(tensor)} lies beyond the end of the file "
                f"({human_bytes(size)} of {human_bytes(whole)} are here)",
            )


class GGUFHeader:
    """A cursor over a mapped file: key/values, then the table of tensors; ``parse`` fills the attributes.

    The ``gguf`` package builds Python lists of the whole vocabulary first, 0.3 s for a big one; here long
    arrays are stepped over, and a header that is cut off is told from one that is damaged.

    Args:
        file: Name of the file, for errors.
        data: Its bytes.

    Attributes:
        values: Scalars and short number arrays by key.
        lengths: Number of elements of every array.
        elements: Number of elements of every tensor.
        ends: (tensor, byte after its last one), counted from the start of the file.
    """

    def __init__(self, file: str, data: mmap.mmap) -> None:
        self.size_bytes = len(data)
        self.values: dict[str, Scalar | list[float]] = {}
        self.lengths: dict[str, int] = {}
        self.elements: dict[str, int] = {}
        self.ends: list[tuple[str, int]] = []
        self._file = file
        self._data = data
        self._at = 8
        self._text_bytes = 0
        self._strings = 0

    def text(self, key: str) -> str:
        """A text value, empty if there is none."""
        value = self.values.get(key, "")
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: int = 0) -> int:
        """A number; of a list, one for each layer, the mean rounded up.

        Raises:
            ModelCorruptError: it is negative, infinite or no number.
        """
        value = self.values.get(key, default)
        if isinstance(value, list):
            value = sum(value) / len(value) if value else default
        if isinstance(value, str) or not (value == default or 0 <= value <= _LARGEST_NUMBER):
            raise self._damage(f"{excerpt(key)} is {excerpt(str(value), 40)}")
        return ceil(value)

    def parse(self) -> None:
        """Read everything up to the tensors' data.

        Raises:
            struct.error, OverflowError: The header is cut off.
            ModelCorruptError: It says what cannot be.
        """
        tensors, fields = int(self._scalar("Q")), int(self._scalar("Q"))
        for count, kind in ((tensors, "tensors"), (fields, "fields")):
            if count > _MOST_ENTRIES:
                raise self._damage(f"its header announces {count:,} {kind}")
        for _ in range(fields):
            self._field()
        alignment = self.number("general.alignment", 32)
        if alignment < 1:
            raise self._damage("general.alignment is 0")
        table = [self._tensor() for _ in range(tensors)]
        start = -(-self._at // alignment) * alignment
        self.ends = [(name, start + end) for name, end in table]

    def _damage(self, what: str) -> ModelCorruptError:
        return ModelCorruptError(f"{self._file} is damaged", what)

    def _field(self) -> None:
        key = self._string()
        if key in self.values or key in self.lengths:
            raise self._damage(f"its header has {excerpt(key)} twice")
        kind = self._value_type()
        if kind != _ARRAY:
            self.values[key] = self._value(kind)
            return
        kind, length = self._value_type(), int(self._scalar("Q"))
        self.lengths[key] = length
        if kind == _STRING:
            self._skip_strings(length)
        elif kind == _ARRAY:
            raise self._damage(f"{excerpt(key)} is an array of arrays")
        elif length > _MOST_NUMBERS:
            raise self._damage(f"{excerpt(key)} has {length:,} numbers")
        elif length <= _LONGEST_ARRAY_KEPT:
            self.values[key] = [float(self._value(kind)) for _ in range(length)]
        else:
            self._at += length * struct.calcsize(f"<{_SCALARS[kind]}")

    def _value_type(self) -> int:
        kind = int(self._scalar("I"))
        if kind not in _SCALARS and kind not in (_STRING, _ARRAY):
            raise self._damage(f"its header has a value of type {kind}, which there is not")
        return kind

    def _tensor(self) -> tuple[str, int]:
        name = self._string()
        dimensions = int(self._scalar("I"))
        if dimensions > _MOST_DIMENSIONS:
            raise self._damage(f"its tensor {excerpt(name)} has {dimensions:,} dimensions")
        if name in self.elements:
            raise self._damage(f"it has the tensor {excerpt(name)} twice")
        shape = [int(self._scalar("Q")) for _ in range(dimensions)]
        kind, offset = int(self._scalar("I")), int(self._scalar("Q"))
        count = prod(shape)
        self.elements[name] = count
        # A type that this table does not know is left to llama.cpp: only its start is checked.
        per_block, size = _BLOCKS.get(kind, (1, 0))
        return name, offset + count // per_block * size

    def _value(self, kind: int) -> Scalar:
        return self._string() if kind == _STRING else self._scalar(_SCALARS[kind])

    def _scalar(self, form: str) -> int | float | bool:
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return value  # type: ignore[no-any-return]  # struct is untyped by nature

    def _string(self) -> str:
        length = int(self._scalar("Q"))
        self._text_bytes += length
        if self._text_bytes > _MOST_TEXT_BYTES:
            raise self._damage(f"its header announces more than {human_bytes(_MOST_TEXT_BYTES)} of text")
        if length > self.size_bytes - self._at:
            raise struct.error("text beyond the end of the file")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", errors="replace")

    def _skip_strings(self, count: int) -> None:
        self._strings += count
        if self._strings > _MOST_STRINGS:
            raise self._damage(f"its header announces {self._strings:,} words")
        at, data, unpack = self._at, self._data, _LENGTH.unpack_from
        for _ in range(count):
            at += 8 + unpack(data, at)[0]
        self._at = at
