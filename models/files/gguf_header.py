"""A cursor over the header of a GGUF file: key/values, then the table of tensors.

The ``gguf`` package builds Python lists of the whole vocabulary first, 0.3 s for a big one; here long
arrays are stepped over, and a header that is cut off is told from one that is whole.
"""

from __future__ import annotations

import mmap
import struct
from math import ceil, prod

Scalar = str | int | float | bool

# GGUF value type: its struct format, from gguf.h.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")

# Per-layer numbers (heads of a hybrid model) are short; vocabularies are long and are skipped.
_LONGEST_ARRAY_KEPT = 1024

# ggml tensor type: (weights per block, bytes per block), from ggml.h and ggml-common.h.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip


class GGUFHeader:
    """A cursor over the mapped file; after ``parse`` also what was found.

    Attributes:
        values: Scalars and short number arrays by key.
        lengths: Number of elements of every array.
        elements: Number of elements of every tensor.
        ends: (tensor, byte after its last one), counted from the start of the file.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self.size_bytes = len(data)
        self.values: dict[str, Scalar | list[float]] = {}
        self.lengths: dict[str, int] = {}
        self.elements: dict[str, int] = {}
        self.ends: list[tuple[str, int]] = []
        self._data = data
        self._at = 8

    def text(self, key: str) -> str:
        """A text value, empty if there is none."""
        value = self.values.get(key, "")
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: int = 0) -> int:
        """A number; of a list, one for each layer, the mean rounded up."""
        value = self.values.get(key, default)
        if isinstance(value, list):
            return ceil(sum(value) / len(value)) if value else default
        return int(value) if isinstance(value, int | float) else default

    def parse(self) -> None:
        """Read everything up to the tensors' data.

        Raises:
            struct.error, KeyError, ValueError, OverflowError: The header is cut off or is no header.
        """
        tensors, fields = self._scalar("Q"), self._scalar("Q")
        for _ in range(int(fields)):
            self._field()
        table = [self._tensor() for _ in range(int(tensors))]
        alignment = self.number("general.alignment", 32)
        start = -(-self._at // alignment) * alignment
        self.ends = [(name, start + end) for name, end in table]

    def _field(self) -> None:
        key = self._string()
        kind = int(self._scalar("I"))
        if kind != _ARRAY:
            self.values[key] = self._value(kind)
            return
        kind, length = int(self._scalar("I")), int(self._scalar("Q"))
        self.lengths[key] = length
        if kind == _STRING:
            self._skip_strings(length)
        elif length <= _LONGEST_ARRAY_KEPT:
            self.values[key] = [float(self._value(kind)) for _ in range(length)]
        else:
            self._at += length * struct.calcsize(f"<{_SCALARS[kind]}")

    def _tensor(self) -> tuple[str, int]:
        name = self._string()
        shape = [int(self._scalar("Q")) for _ in range(int(self._scalar("I")))]
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
        if length > self.size_bytes - self._at:
            raise struct.error("text beyond the end of the file")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", errors="replace")

    def _skip_strings(self, count: int) -> None:
        at, data, unpack = self._at, self._data, _LENGTH.unpack_from
        for _ in range(count):
            at += 8 + unpack(data, at)[0]
        self._at = at
