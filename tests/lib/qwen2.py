"""A tiny random Qwen2 and its forward pass in numpy, written from the formulas, not from llama.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """Sizes of a small decoder; Qwen2 has biases on queries, keys and values, Llama has none."""

    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    layers: int = 2
    hidden: int = 96
    context: int = 1024
    rope_base: float = 10_000.0
    epsilon: float = 1e-6
    biases: bool = True


def random_weights(shape: Shape, vocabulary: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Float32 tensors by their names in GGUF; norms are random too, so that leaving one out is seen."""
    rng = np.random.default_rng(seed)
    size = shape.width // shape.heads
    kv = size * shape.kv_heads

    def matrix(rows: int, columns: int, scale: float = 1.0) -> NDArray[np.float32]:
        return (rng.standard_normal((rows, columns)) * scale / np.sqrt(columns)).astype(np.float32)

    def vector(length: int, mean: float, spread: float) -> NDArray[np.float32]:
        return (mean + spread * rng.standard_normal(length)).astype(np.float32)

    weights = {"token_embd.weight": matrix(vocabulary, shape.width, 8.0)}
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        weights[block + "attn_norm.weight"] = vector(shape.width, 1.0, 0.3)
        weights[block + "attn_q.weight"] = matrix(shape.width, shape.width)
        weights[block + "attn_k.weight"] = matrix(kv, shape.width)
        weights[block + "attn_v.weight"] = matrix(kv, shape.width)
        if shape.biases:
            weights[block + "attn_q.bias"] = vector(shape.width, 0.0, 0.5)
            weights[block + "attn_k.bias"] = vector(kv, 0.0, 0.5)
            weights[block + "attn_v.bias"] = vector(kv, 0.0, 0.5)
        weights[block + "attn_output.weight"] = matrix(shape.width, shape.width)
        weights[block + "ffn_norm.weight"] = vector(shape.width, 1.0, 0.3)
        weights[block + "ffn_gate.weight"] = matrix(shape.hidden, shape.width)
        weights[block + "ffn_up.weight"] = matrix(shape.hidden, shape.width)
        weights[block + "ffn_down.weight"] = matrix(shape.width, shape.hidden)
    weights["output_norm.weight"] = vector(shape.width, 1.0, 0.3)
    weights["output.weight"] = matrix(vocabulary, shape.width)
    return weights


def final_states(shape: Shape, weights: dict[str, NDArray[np.float32]], tokens: Sequence[int]) -> Array:
    """``[tokens, width]``: what the language-model head is applied to, after the final norm."""
    w = {name: tensor.astype(np.float64) for name, tensor in weights.items()}
    x = w["token_embd.weight"][list(tokens)]
    for layer in range(shape.layers):
        block = {name: w.get(f"blk.{layer}.{name}") for name in _BLOCK}
        x = x + _attention(shape, block, _rms(x, w[f"blk.{layer}.attn_norm.weight"], shape.epsilon))
        y = _rms(x, w[f"blk.{layer}.ffn_norm.weight"], shape.epsilon)
        gate, up = y @ w[f"blk.{layer}.ffn_gate.weight"].T, y @ w[f"blk.{layer}.ffn_up.weight"].T
        x = x + (gate / (1.0 + np.exp(-gate)) * up) @ w[f"blk.{layer}.ffn_down.weight"].T
    return _rms(x, w["output_norm.weight"], shape.epsilon)


_BLOCK = ("attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight",
          "attn_q.bias", "attn_k.bias", "attn_v.bias")  # fmt: skip


def _rms(x: Array, scale: Array, epsilon: float) -> Array:
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + epsilon) * scale


def _attention(shape: Shape, block: dict[str, Array | None], x: Array) -> Array:
    """Grouped-query attention with rotary positions, causal."""
    size, count = shape.width // shape.heads, len(x)

    def project(name: str, heads: int) -> Array:
        weight, bias = block[f"attn_{name}.weight"], block[f"attn_{name}.bias"]
        assert weight is not None
        y = x @ weight.T + (0.0 if bias is None else bias)
        return y.reshape(count, heads, size).transpose(1, 0, 2)

    queries = _rotate(project("q", shape.heads), shape.rope_base)
    keys = _rotate(project("k", shape.kv_heads), shape.rope_base)
    values = project("v", shape.kv_heads)
    group = shape.heads // shape.kv_heads
    keys, values = keys.repeat(group, axis=0), values.repeat(group, axis=0)
    scores = queries @ keys.transpose(0, 2, 1) / np.sqrt(size)
    scores = np.where(np.tril(np.ones((count, count), bool)), scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    output = block["attn_output.weight"]
    assert output is not None
    mixed: Array = (shares @ values).transpose(1, 0, 2).reshape(count, shape.width) @ output.T
    return mixed


def _rotate(x: Array, base: float) -> Array:
    """Rotary embedding that turns the first half of a head against the second (as Qwen2 has it)."""
    half = x.shape[-1] // 2
    angles = np.arange(x.shape[1])[:, None] * base ** (-np.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
