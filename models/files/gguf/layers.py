"""What the layers of a model keep: keys and values of every token, and running states that do not grow."""

from __future__ import annotations

from itertools import islice, repeat

from .header import GGUFHeader

_STATE_VALUE_BYTES = 4
"""llama.cpp keeps running states as 32-bit numbers."""


def head_size(header: GGUFHeader) -> int:
    """Numbers of one key: as the file states it, else the model's width over its heads; 0 where unknown."""
    arch = header.text("general.architecture")
    return header.number(f"{arch}.attention.key_length", _width_by_heads(header))


def _width_by_heads(header: GGUFHeader) -> int:
    arch = header.text("general.architecture")
    heads = header.number(f"{arch}.attention.head_count")
    return header.number(f"{arch}.embedding_length") // heads if heads else 0


def kv_values(header: GGUFHeader) -> int:
    """Numbers that a token leaves in the KV cache, over all layers: heads x (key + value).

    A layer without attention leaves none, and so do the last layers of a model where they read the cache of
    others (Gemma 4); layers with a sliding window may have heads of another size.
    """
    arch = header.text("general.architecture")
    attention = f"{arch}.attention"
    key, value = head_size(header), header.number(f"{attention}.value_length", _width_by_heads(header))
    sliding = header.number(f"{attention}.key_length_swa", key)
    sliding += header.number(f"{attention}.value_length_swa", value)
    heads = header.number(f"{attention}.head_count_kv", header.number(f"{attention}.head_count"))
    layers = max(0, header.number(f"{arch}.block_count") - header.number(f"{attention}.shared_kv_layers"))

    per_layer = header.values.get(f"{attention}.head_count_kv")
    slides = header.values.get(f"{attention}.sliding_window_pattern")
    if not isinstance(per_layer, list) and not isinstance(slides, list):
        return heads * _layers_with_attention(header, layers) * (key + value)
    counts = per_layer if isinstance(per_layer, list) else repeat(heads, layers)
    windows = slides if isinstance(slides, list) else repeat(0, layers)
    own = islice(zip(counts, windows, strict=False), layers)
    return sum(int(count) * (sliding if window else key + value) for count, window in own)


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
    layers = header.number(f"{arch}.block_count")
    # Where all have attention too, as in Falcon-H1, all have a state.
    with_state = layers - _layers_with_attention(header, layers) or layers
    return with_state * values * _STATE_VALUE_BYTES


def _layers_with_attention(header: GGUFHeader, layers: int) -> int:
    """How many of the first ``layers`` have attention, by their numbers of heads or by their interval."""
    arch = header.text("general.architecture")
    per_layer = header.values.get(f"{arch}.attention.head_count_kv")
    if isinstance(per_layer, list):
        return sum(heads > 0 for heads in per_layer[:layers])
    return layers // (header.number(f"{arch}.full_attention_interval") or 1)
