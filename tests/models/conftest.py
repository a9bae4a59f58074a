from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import pytest


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def field_of(key: str, value: str | int | list[str] | list[int]) -> bytes:
    match value:
        case str():
            return text(key) + struct.pack("<I", 8) + text(value)
        case int():
            return text(key) + struct.pack("<Ii", 5, value)
        case [str(), *_]:
            return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, map(str, value)))
        case _:
            return text(key) + struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)


@pytest.fixture
def make_gguf() -> Callable[..., bytes]:
    """Bytes of a GGUF with the given metadata and F32 tensors of the given shapes."""

    def make(
        metadata: Mapping[str, str | int | list[str] | list[int]] | None = None,
        tensors: Mapping[str, tuple[int, ...]] | None = None,
        version: int = 3,
    ) -> bytes:
        metadata = {"general.architecture": "llama"} if metadata is None else metadata
        tensors = {"token_embd.weight": (4, 8)} if tensors is None else tensors
        head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
        head += b"".join(field_of(key, value) for key, value in metadata.items())
        offset = 0
        for name, shape in tensors.items():
            head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
            size = 4
            for extent in shape:
                size *= extent
            offset += -(-size // 32) * 32
        head += b"\0" * (-len(head) % 32)
        return head + bytes(index % 251 for index in range(offset))

    return make


@pytest.fixture
def gguf(make_gguf: Callable[..., bytes]) -> bytes:
    return make_gguf(tensors={"a.weight": (64, 64), "b.weight": (32, 8)})
