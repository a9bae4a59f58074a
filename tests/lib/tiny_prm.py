"""Tiny GGUF files of the PRMs that are known by name, and the forward pass of a Qwen2 in numpy.

The files have the architecture and the kind of tokenizer of the PRMs. A PRM answers with one of two tokens
where it is asked; ``answers`` lifts these two wherever a certain token was read last, which is what its
training did. The forward pass is written from the formulas, not from llama.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import tiny
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


LLAMA = Shape(biases=False)
QWEN = Shape()
EXTRA = "<extra_0>"

LLAMA3_CONTROLS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
# What the template of Llama-3.1-Instruct does with messages that bring no tools.
LLAMA3 = (
    "{{- bos_token }}"
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system_message = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{- 'Cutting Knowledge Date: December 2023\n' }}{{- 'Today Date: 26 Jul 2024\n\n' }}"
    "{{- system_message }}{{- '<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)

# Parts before wholes: SentencePiece merges neighbours whose whole is a token, the best first.
_MERGED = ("к", "и", "ки", "▁ки", "St", "ep", "Step", "▁Step", "▁+", "▁-", "▁▁")


def write_mistral(path: Path, *, name: str = "tiny", answers: float = 6.0, leave_out: str = "") -> Path:
    """A Llama with a SentencePiece vocabulary that has ``▁ки``, ``▁+`` and ``▁-`` as Mistral's has."""
    letters = [chr(code) for code in range(33, 127)]
    words = [word for word in ("▁", *letters, *_MERGED) if word != leave_out]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    weights = random_weights(LLAMA, len(tokens))
    if not leave_out:
        _answer(weights, tokens.index("▁ки"), [tokens.index("▁+"), tokens.index("▁-")], answers)
    writer = _begin(path, "llama", name, LLAMA, len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(len(words) - rank) for rank in range(len(words))])
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    writer.add_token_types([*kinds, *[gguf.TokenType.NORMAL] * len(words)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    return tiny.finish(writer, weights, path)


def write_llama3(
    path: Path, *, name: str = "tiny", answers: float = 6.0, template: str | None = LLAMA3
) -> Path:
    """A Llama with the byte-level BPE, control tokens and chat template of Llama 3.1."""
    tokens = [*tiny.byte_tokens(), tiny.spelled("\n\n"), tiny.spelled(" S"), *LLAMA3_CONTROLS]
    weights = random_weights(LLAMA, len(tokens))
    _answer(weights, tokens.index(tiny.spelled("\n\n")), [tokens.index("+"), tokens.index("-")], answers)
    writer = _begin(path, "llama", name, LLAMA, len(tokens))
    tiny.add_bpe(
        writer,
        tokens,
        LLAMA3_CONTROLS,
        [("\n", "\n"), (" ", "S")],
        "<|begin_of_text|>",
        "<|eot_id|>",
        kind="llama-bpe",
        adds_bos=True,
        template=template,
    )
    return tiny.finish(writer, weights, path)


def write_qwen2(path: Path, *, name: str = "tiny") -> dict[str, NDArray[np.float32]]:
    """A Qwen2 backbone with ChatML and Qwen's step marker; returns its weights."""
    controls = ["<|endoftext|>", tiny.START, tiny.END, EXTRA]
    tokens = [*tiny.byte_tokens(), tiny.spelled("?\n"), *controls]
    weights = random_weights(QWEN, len(tokens), seed=3)
    writer = _begin(path, "qwen2", name, QWEN, len(tokens))
    merges = [("?", "\n")]
    tiny.add_bpe(
        writer, tokens, controls, merges, "<|endoftext|>", tiny.END, kind="qwen2", template=tiny.CHATML
    )
    tiny.finish(writer, weights, path)
    return weights


def _answer(weights: dict[str, NDArray[np.float32]], behind: int, answers: list[int], lift: float) -> None:
    """Make ``answers`` equally likely wherever ``behind`` was read last; the context tells them apart."""
    direction = weights["token_embd.weight"][behind] / np.linalg.norm(weights["token_embd.weight"][behind])
    rows = weights["output.weight"][answers]
    if lift:
        rows = rows - np.outer(rows @ direction, direction) + lift * direction
    weights["output.weight"][answers] = rows


def _begin(path: Path, architecture: str, name: str, shape: Shape, words: int) -> gguf.GGUFWriter:
    fields = tiny.decoder(
        shape.context, shape.width, shape.heads, shape.kv_heads, shape.layers, shape.hidden, words
    )
    own = {"rope.freq_base": shape.rope_base, "attention.layer_norm_rms_epsilon": shape.epsilon}
    return tiny.begin(path, architecture, fields | own, name)
