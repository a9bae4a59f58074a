"""The header of a GGUF file and its facts, read in milliseconds and without llama.cpp.

llama.cpp answers every broken file with "failed to load model". Reading the header first gives the
cause, and recognises a torn download: each tensor must begin inside the file. llama.cpp itself checks the end
of the last one.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import re
import struct
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from adascale.engine.errors import (
    ModelCorruptError,
    ModelNotFoundError,
    command,
    excerpt,
    human_bytes,
    reason_of,
)

_NEWEST_VERSION = 3

_SCALARS = "BbHhIif?!!Qqd"
"""Struct format of each GGUF value type, from gguf.h; none for texts and arrays."""

_STRING, _ARRAY = 8, 9

_MOST = 1 << 16
"""Most tensors, fields or layers of a model: the largest have some thousand, a damaged file any number."""

# Per-layer numbers (heads of a hybrid model) are short; vocabularies are long and are skipped.
_LONGEST_ARRAY_KEPT = 1024

# Tensors with one row per token or position, of which a token reads its own and multiplies none.
_INPUT_EMBEDDING = "token_embd.weight"
_LOOKUP_TABLES = {
    _INPUT_EMBEDDING, "per_layer_token_embd.weight", "position_embd.weight", "token_types.weight",
}  # fmt: skip

_LONG_FACTORS = "rope_factors_long.weight"

_STATE_VALUE_BYTES = 4
"""llama.cpp keeps running states as 32-bit numbers."""


@dataclass(frozen=True, slots=True)
class GGUFInfo:
    """The facts of one model file; counts are 0 and texts empty if the file does not state them.

    Attributes:
        architecture: Name of the architecture, shortened and printable.
        head_size: Numbers in one key of one head.
        kv_bytes_per_token: Bytes of a token in the KV cache, over all layers, at 16 bits a value.
        state_bytes: Size of the running states of one sequence; 0 for a transformer.
        parameter_count: Sum of the elements of all tensors.
        active_parameters: Parameters that one token is multiplied by: no lookup table, unless the input
            embedding is the output matrix too, and only the experts in use of a mixture.
        size_bytes: Size of the file, about the memory of the weights.
        short_window: Largest window with the first of two sets of angles of positions (LongRoPE); 0 if there
            is one set.
    """

    architecture: str
    name: str
    context_length: int
    block_count: int
    head_size: int
    kv_bytes_per_token: int
    state_bytes: int
    chat_template: str
    parameter_count: int
    active_parameters: int
    size_bytes: int
    short_window: int = 0

    @property
    def effective_parameters(self) -> float:
        """Parameters of a comparable dense model: geometric mean of total and active ones.

        A mixture lies between its two sizes, and so does a dense model whose output matrix may be a copy of
        its input embedding.
        """
        return math.sqrt(self.parameter_count * self.active_parameters)


def read_info(path: Path) -> GGUFInfo:
    """Read the facts of a model.

    A file that passes is whole, and one that llama.cpp can read.

    Raises:
        ModelNotFoundError: There is no such file, or it cannot be read.
        ModelCorruptError: It is something else, too new, damaged or torn, or one of several parts of a model.
    """
    try:
        with path.open("rb") as file:
            _check_start(path.name, file.read(8))
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header = _Header(data)
        info, parts = _facts(header, len(data)), header.number("split.count", 1)
        start, tensor = header.last
        if start >= len(data):
            here = f"{human_bytes(len(data))} of more than {human_bytes(start)} are here"
            raise ValueError(f"tensor {tensor} lies beyond the end of the file ({here})")
    except OSError as error:
        hint = f"{command('list')} shows the models on this machine"
        raise ModelNotFoundError(f"cannot read {path}: {reason_of(error)}", hint=hint) from error
    except (struct.error, OverflowError, ValueError, LookupError) as error:
        raise ModelCorruptError(f"{path.name} is incomplete or damaged", excerpt(str(error))) from error
    if parts > 1:
        raise ModelCorruptError(
            f"{path.name} is one of {parts} parts of a model, and only models in one file are opened",
            hint="join them first with llama-gguf-split, which comes with llama.cpp",
        )
    return info


def _check_start(name: str, start: bytes) -> None:
    version = int.from_bytes(start[4:], "little")
    if not start:
        raise ModelCorruptError(f"{name} is empty")
    if start[:4] != b"GGUF":  # a web page or a pointer of Git LFS shows itself
        raise ModelCorruptError(f"{name} is not a GGUF file (starts with {start!r})")
    if not 2 <= version <= _NEWEST_VERSION:
        text = f"{name} is GGUF version {version}; this llama.cpp reads up to {_NEWEST_VERSION}"
        raise ModelCorruptError(text)


class _Header:
    """A header, read from a mapped file: key/values, then the table of tensors.

    The ``gguf`` package builds Python lists of the whole vocabulary first, 0.3 s for a big one; here long
    arrays are stepped over.

    Args:
        data: The bytes of the file.

    Attributes:
        architecture: Name of the architecture.
        values: Scalars, texts and short number arrays by key, without the architecture that it may begin
            with; None for long arrays and arrays of texts.
        elements: Number of elements of every tensor.
        last: Where the data of the last tensor begins, and its name; the end of the header without tensors.

    Raises:
        struct.error, OverflowError, LookupError, ValueError: It is cut off, or its contents are impossible.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 8
        tensors, fields = self._take("QQ")
        if max(tensors, fields) > _MOST:
            raise ValueError("more entries than any model has")
        values = {self._text(): self._value(*self._take("I")) for _ in range(fields)}
        self.architecture = str(values.get("general.architecture", ""))
        self.values = {key.removeprefix(f"{self.architecture}."): value for key, value in values.items()}
        self.elements: dict[str, int] = {}
        offset, name = max((self._tensor() for _ in range(tensors)), default=(-1, ""))
        alignment = self.number("general.alignment", 32) or 32
        self.last = (-(-self._at // alignment) * alignment if tensors else self._at) + offset, name

    def number(self, key: str, default: int = 0) -> int:
        """Look up a number; of a list, one for each layer, the mean rounded up.

        Raises:
            ValueError, OverflowError: It is negative, infinite or no number.
        """
        value = self.values.get(key)
        if isinstance(value, list):
            value = sum(value) / len(value) if value else None
        if value is None:
            return default
        if isinstance(value, str) or value < min(default, 0):
            raise ValueError(f"{key} is {value}")
        return math.ceil(value)

    def layers(self, key: str) -> list[float]:
        """Look up numbers, one for each layer; none if the header has no list of them."""
        value = self.values.get(key)
        return value if isinstance(value, list) else []

    def _take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return values

    def _text(self) -> str:
        (length,) = self._take("Q")
        self._at += length
        # The next read reports a text that is cut off.
        return self._data[self._at - length : self._at].decode("utf-8", errors="replace")

    def _value(self, kind: int) -> str | float | list[float] | None:
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return float(self._take(_SCALARS[kind])[0])
        kind, length = self._take("IQ")
        if kind == _STRING:
            for _ in range(length):
                self._at += 8 + struct.unpack_from("<Q", self._data, self._at)[0]
        elif length <= _LONGEST_ARRAY_KEPT:
            return [*self._take(f"{length}{_SCALARS[kind]}")]
        else:
            self._at += length * struct.calcsize(f"<{_SCALARS[kind]}")
        return None

    def _tensor(self) -> tuple[int, str]:
        """Read an entry of the table; returns the offset of its data behind the header, and its name."""
        name, (dimensions,) = self._text(), self._take("I")
        if dimensions > 4:  # GGML_MAX_DIMS; a wrong number may be billions
            raise ValueError(f"{dimensions} dimensions")
        *shape, _, offset = self._take(f"{dimensions}QIQ")
        self.elements[name] = math.prod(shape)
        return offset, name


def names_of(name: str, gguf: Path) -> tuple[str, str]:
    """Normalise ``general.name`` and the file's name of a GGUF: lower case, hyphens between the words."""
    own, stem = (re.sub(r"[\s_]+", "-", each.strip().lower()) for each in (name, gguf.stem))
    return own, stem


def _facts(header: _Header, size_bytes: int) -> GGUFInfo:
    number = header.number
    layers, heads = number("block_count"), number("attention.head_count")
    if layers > _MOST:
        raise ValueError("more layers than any model has")
    width = number("embedding_length") // heads if heads else 0
    key = number("attention.key_length", width)
    has_two_sets = _LONG_FACTORS in header.elements
    return GGUFInfo(
        architecture=excerpt(header.architecture, 60),
        name=str(header.values.get("general.name", "")),
        context_length=number("context_length"),
        block_count=layers,
        head_size=key,
        kv_bytes_per_token=2 * _kv_values(header, key, number("attention.value_length", width)),
        state_bytes=_state_bytes(header),
        chat_template=str(header.values.get("tokenizer.chat_template", "")),
        parameter_count=sum(header.elements.values()),
        active_parameters=_active_parameters(header),
        size_bytes=size_bytes,
        short_window=number("rope.scaling.original_context_length") if has_two_sets else 0,
    )


def _active_parameters(header: _Header) -> int:
    experts, active = header.number("expert_count"), header.number("expert_used_count")
    # llama.cpp takes the input embedding if a file has no output matrix.
    looked_up = _LOOKUP_TABLES if "output.weight" in header.elements else _LOOKUP_TABLES - {_INPUT_EMBEDDING}
    return sum(
        count * active // experts if experts and "_exps." in name else count
        for name, count in header.elements.items()
        if name not in looked_up
    )


def _heads(header: _Header) -> list[float]:
    """The heads of keys in each layer: 0 in one without attention, as some models state or by an interval."""
    heads = header.number("attention.head_count_kv", header.number("attention.head_count"))
    every = header.number("full_attention_interval") or 1
    return header.layers("attention.head_count_kv") or [
        0 if layer % every else heads for layer in range(1, header.number("block_count") + 1)
    ]


def _kv_values(header: _Header, key: int, value: int) -> int:
    """Count the numbers that a token leaves in the KV cache, over all layers: heads x (key + value).

    A layer without attention leaves none, and neither do the last layers of a model that read the cache of
    others (Gemma 4); layers with a sliding window may have heads of another size.
    """
    number = header.number
    sliding = number("attention.key_length_swa", key) + number("attention.value_length_swa", value)
    layers = max(0, number("block_count") - number("attention.shared_kv_layers"))
    windows = header.layers("attention.sliding_window_pattern") or repeat(0, layers)
    pairs = islice(zip(_heads(header), windows, strict=False), layers)
    return sum(int(heads) * (sliding if window else key + value) for heads, window in pairs)


def _state_bytes(header: _Header) -> int:
    """Size of the running states of one sequence, 0 for a transformer.

    State-space layers (Mamba-2, delta net) have them, and short convolutions (LFM2). The sizes follow
    llama.cpp's recurrent memory (llama-hparams.cpp, ``n_embd_r`` and ``n_embd_s``).
    """
    number = header.number
    inner, state = number("ssm.inner_size"), number("ssm.state_size")
    if inner:
        convolved = inner + 2 * number("ssm.group_count") * state
        values = max(0, number("ssm.conv_kernel") - 1) * convolved + state * inner
    else:
        values = max(0, number("shortconv.l_cache") - 1) * number("embedding_length")
    layers = number("block_count")
    # If all have attention too, as in Falcon-H1, all have a state.
    with_state = layers - sum(heads > 0 for heads in _heads(header)[:layers]) or layers
    return with_state * values * _STATE_VALUE_BYTES
