"""Safetensors files with the head of a tiny Qwen2.5-Math-PRM in them, as the Hub has them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import tiny_prm
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[np.generic]]
WIDTH = tiny_prm.QWEN.width


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
