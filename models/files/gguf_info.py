"""The facts of a GGUF file: architecture, window, memory of a token, parameters, quantization."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

from adascale.engine.errors import excerpt

from .gguf import GGUFHeader, read_header

# general.file_type, from llama.h (llama_ftype).
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
    36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4", 39: "NVFP4",
}  # fmt: skip

# Tensors with one row per token or position, of which a token reads its own and multiplies none.
_INPUT_EMBEDDING = "token_embd.weight"
_LOOKUP_TABLES = {
    _INPUT_EMBEDDING, "per_layer_token_embd.weight", "position_embd.weight", "token_types.weight",
}  # fmt: skip

_STATE_VALUE_BYTES = 4
"""llama.cpp keeps running states as 32-bit numbers."""


@dataclass(frozen=True, slots=True)
class GGUFInfo:
    """The facts of one model file; counts are 0 and texts empty where the file does not state them.

    Attributes:
        architecture: Name of the architecture, shortened and printable.
        head_size: Numbers in one key of one head.
        kv_values: Numbers that a token leaves in the KV cache, over all layers.
        state_bytes: Size of the running states of one sequence; 0 for a transformer.
        parameter_count: Sum of the elements of all tensors.
        active_parameters: Parameters that one token is multiplied by: no lookup table, unless the input
            embedding is the output matrix too, and only the experts in use of a mixture.
        file_type: Quantization by name, such as ``Q4_K_M``.
        size_bytes: Size of the file, about the memory of the weights.
    """

    architecture: str
    name: str
    context_length: int
    block_count: int
    head_size: int
    kv_values: int
    state_bytes: int
    vocab_size: int
    chat_template: str
    parameter_count: int
    active_parameters: int
    file_type: str
    size_bytes: int

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes that one token takes in the KV cache, over all layers: 16 bits a value."""
        return 2 * self.kv_values

    @property
    def effective_parameters(self) -> float:
        """Parameters of a comparable dense model: geometric mean of total and active ones.

        A mixture lies between its two sizes, and so does a dense model whose output matrix may be a copy of
        its input embedding.
        """
        return math.sqrt(self.parameter_count * self.active_parameters)


def read_info(path: Path) -> GGUFInfo:
    """Read the facts of a GGUF; arguments and errors are those of ``read_header``."""
    header = read_header(path)
    arch = header.text("general.architecture")
    file_type = header.number("general.file_type", -1)
    return GGUFInfo(
        architecture=excerpt(arch, 60),
        name=header.text("general.name"),
        context_length=header.number(f"{arch}.context_length"),
        block_count=header.number(f"{arch}.block_count"),
        head_size=_head_size(header, arch),
        kv_values=_kv_values(header, arch),
        state_bytes=_state_bytes(header, arch),
        vocab_size=header.lengths.get("tokenizer.ggml.tokens", header.number(f"{arch}.vocab_size")),
        chat_template=header.text("tokenizer.chat_template"),
        parameter_count=sum(header.elements.values()),
        active_parameters=_active_parameters(header, arch),
        file_type=_FILE_TYPES.get(file_type, f"type {file_type}" if file_type >= 0 else ""),
        size_bytes=header.size_bytes,
    )


def names_of(name: str, gguf: Path) -> tuple[str, str]:
    """Normalise ``general.name`` and the file's name of a GGUF: lower case, hyphens between the words."""
    own, stem = (re.sub(r"[\s_]+", "-", each.strip().lower()) for each in (name, gguf.stem))
    return own, stem


def _active_parameters(header: GGUFHeader, arch: str) -> int:
    experts, used = header.number(f"{arch}.expert_count"), header.number(f"{arch}.expert_used_count")
    # llama.cpp takes the input embedding where a file has no output matrix.
    looked_up = _LOOKUP_TABLES if "output.weight" in header.elements else _LOOKUP_TABLES - {_INPUT_EMBEDDING}
    active = 0
    for name, count in header.elements.items():
        if name not in looked_up:
            active += count * used // experts if experts and "_exps." in name else count
    return active


def _head_size(header: GGUFHeader, arch: str) -> int:
    """Numbers in one key: as stated, or the model's width over its heads; 0 if unknown."""
    return header.number(f"{arch}.attention.key_length", _width_by_heads(header, arch))


def _width_by_heads(header: GGUFHeader, arch: str) -> int:
    heads = header.number(f"{arch}.attention.head_count")
    return header.number(f"{arch}.embedding_length") // heads if heads else 0


def _kv_values(header: GGUFHeader, arch: str) -> int:
    """Count the numbers that a token leaves in the KV cache, over all layers: heads x (key + value).

    A layer without attention leaves none, and neither do the last layers of a model that read the cache of
    others (Gemma 4); layers with a sliding window may have heads of another size.
    """
    attention = f"{arch}.attention"
    key = _head_size(header, arch)
    value = header.number(f"{attention}.value_length", _width_by_heads(header, arch))
    sliding = header.number(f"{attention}.key_length_swa", key)
    sliding += header.number(f"{attention}.value_length_swa", value)
    heads = header.number(f"{attention}.head_count_kv", header.number(f"{attention}.head_count"))
    layers = max(0, header.number(f"{arch}.block_count") - header.number(f"{attention}.shared_kv_layers"))

    per_layer = header.values.get(f"{attention}.head_count_kv")
    slides = header.values.get(f"{attention}.sliding_window_pattern")
    if not isinstance(per_layer, list) and not isinstance(slides, list):
        return heads * _layers_with_attention(header, arch, layers) * (key + value)
    counts = per_layer if isinstance(per_layer, list) else repeat(heads, layers)
    windows = slides if isinstance(slides, list) else repeat(0, layers)
    own = islice(zip(counts, windows, strict=False), layers)
    return sum(int(count) * (sliding if window else key + value) for count, window in own)


def _state_bytes(header: GGUFHeader, arch: str) -> int:
    """Size of the running states of one sequence, 0 for a transformer.

    State-space layers (Mamba-2, delta net) have them, and short convolutions (LFM2). The sizes are those of
    llama.cpp's recurrent memory (llama-hparams.cpp, ``n_embd_r`` and ``n_embd_s``).
    """
    inner, state = header.number(f"{arch}.ssm.inner_size"), header.number(f"{arch}.ssm.state_size")
    if inner:
        convolved = inner + 2 * header.number(f"{arch}.ssm.group_count") * state
        values = max(0, header.number(f"{arch}.ssm.conv_kernel") - 1) * convolved + state * inner
    else:
        taps = max(0, header.number(f"{arch}.shortconv.l_cache") - 1)
        values = taps * header.number(f"{arch}.embedding_length")
    layers = header.number(f"{arch}.block_count")
    # If all have attention too, as in Falcon-H1, all have a state.
    with_state = layers - _layers_with_attention(header, arch, layers) or layers
    return with_state * values * _STATE_VALUE_BYTES


def _layers_with_attention(header: GGUFHeader, arch: str, layers: int) -> int:
    """Count the first ``layers`` that have attention, by their numbers of heads or by their interval."""
    per_layer = header.values.get(f"{arch}.attention.head_count_kv")
    if isinstance(per_layer, list):
        return sum(heads > 0 for heads in per_layer[:layers])
    return layers // (header.number(f"{arch}.full_attention_interval") or 1)
