"""What a GGUF file says about itself: architecture, window, memory of a token, parameters, quantization."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.errors import excerpt

from . import layers
from .header import GGUFHeader, read_header

# general.file_type, from llama.h (llama_ftype).
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
    36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4", 39: "NVFP4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GGUFInfo:
    """The facts of one model file; counts are 0 and texts empty where the file does not say.

    Attributes:
        architecture: As it can be shown, whatever the file has there.
        head_size: Numbers of one key of one head.
        kv_values: Numbers that a token leaves in the KV cache, over all layers.
        state_bytes: Running states of one sequence, of the layers that have them.
        parameter_count: Sum of the elements of all tensors.
        active_parameters: Those that one token is multiplied by: no table that it is looked up in, unless the
            input embedding is the output matrix too, and of a mixture's experts only as many as are in use.
        file_type: Quantization by name, such as ``Q4_K_M``.
        size_bytes: Size of the file, or of all parts, about what the weights take in memory.
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
        """Those of a dense model that is about as able: between all of them and the active ones.

        A mixture lies between its two sizes, and so does a dense model whose output matrix may be a copy of
        its input embedding.
        """
        return math.sqrt(self.parameter_count * self.active_parameters)


def read_info(path: Path) -> GGUFInfo:
    """Read what a GGUF says about itself; arguments and errors are those of ``read_header``."""
    header = read_header(path)
    arch = header.text("general.architecture")
    file_type = header.number("general.file_type", -1)
    return GGUFInfo(
        architecture=excerpt(arch, 60),
        name=header.text("general.name"),
        context_length=header.number(f"{arch}.context_length"),
        block_count=header.number(f"{arch}.block_count"),
        head_size=layers.head_size(header),
        kv_values=layers.kv_values(header),
        state_bytes=layers.state_bytes(header),
        vocab_size=header.lengths.get("tokenizer.ggml.tokens", header.number(f"{arch}.vocab_size")),
        chat_template=header.text("tokenizer.chat_template"),
        parameter_count=sum(header.elements.values()),
        active_parameters=_active_parameters(header),
        file_type=_FILE_TYPES.get(file_type, f"type {file_type}" if file_type >= 0 else ""),
        size_bytes=header.size_bytes,
    )


# Tensors with one row per token or position, of which a token reads its own and multiplies none.
_INPUT_EMBEDDING = "token_embd.weight"
_LOOKUP_TABLES = {
    _INPUT_EMBEDDING, "per_layer_token_embd.weight", "position_embd.weight", "token_types.weight",
}  # fmt: skip


def _active_parameters(header: GGUFHeader) -> int:
    arch = header.text("general.architecture")
    experts, used = header.number(f"{arch}.expert_count"), header.number(f"{arch}.expert_used_count")
    # llama.cpp takes the input embedding where a file has no output matrix.
    looked_up = _LOOKUP_TABLES if "output.weight" in header.elements else _LOOKUP_TABLES - {_INPUT_EMBEDDING}
    active = 0
    for name, count in header.elements.items():
        if name not in looked_up:
            active += count * used // experts if experts and "_exps." in name else count
    return active


def names_of(name: str, gguf: Path) -> tuple[str, str]:
    """``general.name`` and the file's name of a GGUF, in lower case with hyphens between the words."""
    return _hyphenated(name), _hyphenated(gguf.stem)


def _hyphenated(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower())
