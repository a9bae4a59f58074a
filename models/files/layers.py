"""What the layers of a model keep: keys and values of every token, and running states that do not grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .gguf import GGUFHeader

_STATE_VALUE_BYTES = 4
"""llama.cpp keeps running states as 32-bit numbers."""


def kv_heads(header: GGUFHeader) -> int:
    """Key/value heads of all layers together; a layer without attention has none."""
    arch = header.text("general.architecture")
    key = f"{arch}.attention.head_count_kv"
    heads = header.number(key, header.number(f"{arch}.attention.head_count"))
    per_layer = header.values.get(key)
    if isinstance(per_layer, list):
        return int(sum(per_layer))
    layers = header.number(f"{arch}.block_count")
    return heads * (layers // (header.number(f"{arch}.full_attention_interval") or 1))


def state_bytes(header: GGUFHeader) -> int:
    """Bytes of the running states of one sequence, 0 for a transformer.

    State-space layers (Mamba-2, delta net) have them, and short convolutions (LFM2). The sizes are those of
    llama.cpp's recurrent memory (llama-hparams.cpp, ``n_embd_r`` and ``n_embd_s``).
    """
    arch = header.text("general.architecture")
    inner, state = header.number(f"{arch}.ssm.inner_size"), header.number(f"{arch}.ssm.state_size")
    if inner:
        convolved = inner + 2 * header.number(f"{arch}.ssm.group_count") * state
        values = max(0, header.number(f"{arch}.ssm.conv_kernel") - 1) * convolved + state * inner
    else:
        taps = max(0, header.number(f"{arch}.shortconv.l_cache") - 1)
        values = taps * header.number(f"{arch}.embedding_length")
    return _recurrent_layers(header, arch) * values * _STATE_VALUE_BYTES


def _recurrent_layers(header: GGUFHeader, arch: str) -> int:
    """Layers with a running state, where there are such layers: all that have no attention, or else all."""
    layers, interval = header.number(f"{arch}.block_count"), header.number(f"{arch}.full_attention_interval")
    per_layer = header.values.get(f"{arch}.attention.head_count_kv")
    without_attention = per_layer.count(0) if isinstance(per_layer, list) else 0
    if interval:
        without_attention = layers - layers // interval
    return without_attention or layers
