"""The header of a GGUF file and its facts, read in milliseconds and without llama.cpp.

llama.cpp answers every broken file with "failed to load model". Reading the header first gives the
cause, and tells a torn download from a whole one: each tensor must begin inside the file. Of the last one
llama.cpp itself tells.
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

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, command, excerpt, human_bytes

_NEWEST_VERSION = 3

# GGUF value type: its struct format, from gguf.h.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9

_MOST = 1 << 16
"""Tensors or fields of a model; the largest have some thousand, and a number in a damaged file may be any."""

# Per-layer numbers (heads of a hybrid model) are short; vocabularies are long and are skipped.
_LONGEST_ARRAY_KEPT = 1024

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
        kv_bytes_per_token: Size of what a token leaves in the KV cache, over all layers: 16 bits a value.
        state_bytes: Size of the running states of one sequence; 0 for a transformer.
        parameter_count: Sum of the elements of all tensors.
        active_parameters: Parameters that one token is multiplied by: no lookup table, unless the input
            embedding is the output matrix too, and only the experts in use of a mixture.
        size_bytes: Size of the file, about the memory of the weights.
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
        ModelNotFoundError: There is no such file.
        ModelCorruptError: It is something else, too new, damaged or torn, or one of several parts of a model.
    """
    if not path.exists():
        hint = f"{command('list')} shows what is here"
        raise ModelNotFoundError(f"there is no file {path}", hint=hint, slug="model-not-found")
    if path.is_dir():
        raise ModelCorruptError(f"{path.name} is a directory, not a model file")
    if path.stat().st_size == 0:
        raise ModelCorruptError(f"{path.name} is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _check_start(path.name, data[:64])
        try:
            header = _Header(data)
            info = _facts(header)
            parts = header.number("split.count", 1)
        except (struct.error, OverflowError, ValueError, LookupError) as error:
            raise ModelCorruptError(
                f"{path.name} is incomplete or damaged",
                f"its header ends early, or a number in it is wrong ({len(data):,} bytes are here)",
            ) from error
    start, tensor = header.last
    if start >= header.size_bytes:
        here = f"{human_bytes(header.size_bytes)} of more than {human_bytes(start)} are here"
        raise ModelCorruptError(
            f"{path.name} is incomplete", f"tensor {excerpt(tensor)} lies beyond the end of the file ({here})"
        )
    if parts > 1:
        raise ModelCorruptError(
            f"{path.name} is one of {parts} parts of a model, and only models in one file are opened",
            hint="join them first: llama-gguf-split --merge FIRST-PART WHOLE.gguf",
        )
    return info


def _check_start(name: str, start: bytes) -> None:
    version = int.from_bytes(start[4:8], "little")
    text = start.decode("latin-1").lstrip()
    if text.lower().startswith(("<!doctype", "<html", "<?xml")):
        problem = f'is a web page, not a model (starts with "{text.split()[0]}")'
    elif text.startswith("version https://git-lfs"):
        problem = "is a Git LFS pointer, not the model itself (git lfs pull fetches it)"
    elif start[:4] != b"GGUF":
        problem = f"is not a GGUF file (starts with {start[:4]!r})"
    elif not 2 <= version <= _NEWEST_VERSION:
        problem = f"is GGUF version {version}; this llama.cpp reads up to {_NEWEST_VERSION}"
    else:
        return
    raise ModelCorruptError(f"{name} {problem}")


class _Header:
    """A header, read from a mapped file: key/values, then the table of tensors.

    The ``gguf`` package builds Python lists of the whole vocabulary first, 0.3 s for a big one; here long
    arrays are stepped over.

    Args:
        data: The bytes of the file.

    Attributes:
        size_bytes: Size of the file.
        values: Scalars and short number arrays by key.
        elements: Number of elements of every tensor.
        last: Where the data of the last tensor begins, and its name; 0 without tensors.

    Raises:
        struct.error, OverflowError, LookupError, ValueError: It is cut off, or its contents are impossible.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self.size_bytes = len(data)
        self.values: dict[str, str | float | list[float]] = {}
        self.elements: dict[str, int] = {}
        self._data, self._at = data, 8
        tensors, fields = int(self._scalar("Q")), int(self._scalar("Q"))
        if max(tensors, fields) > _MOST:
            raise ValueError("more entries than any model has")
        for _ in range(fields):
            self._field()
        offset, name = max((self._tensor() for _ in range(tensors)), default=(0, ""))
        alignment = self.number("general.alignment", 32) or 32
        self.last = (-(-self._at // alignment) * alignment + offset if tensors else 0), name

    def text(self, key: str) -> str:
        """Look up a text, empty where the header has none."""
        value = self.values.get(key, "")
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: int = 0) -> int:
        """Look up a number; of a list, one for each layer, the mean rounded up.

        Raises:
            ValueError, OverflowError: It is negative, infinite or no number.
        """
        value = self.values.get(key, default)
        if isinstance(value, list):
            value = sum(value) / len(value) if value else default
        if isinstance(value, str) or value < min(default, 0):
            raise ValueError(f"{key} is {value}")
        return math.ceil(value)

    def _field(self) -> None:
        key, kind = self._string(), int(self._scalar("I"))
        if kind == _STRING:
            self.values[key] = self._string()
        elif kind != _ARRAY:
            self.values[key] = self._scalar(_SCALARS[kind])
        else:
            kind, length = int(self._scalar("I")), int(self._scalar("Q"))
            if kind == _STRING:
                for _ in range(length):
                    self._at += 8 + struct.unpack_from("<Q", self._data, self._at)[0]
            elif length <= _LONGEST_ARRAY_KEPT:
                self.values[key] = [float(self._scalar(_SCALARS[kind])) for _ in range(length)]
            else:
                self._at += length * struct.calcsize(f"<{_SCALARS[kind]}")

    def _tensor(self) -> tuple[int, str]:
        """Read an entry of the table; returns where its data begins behind the header, and its name."""
        name, dimensions = self._string(), int(self._scalar("I"))
        if dimensions > 4:  # GGML_MAX_DIMS; a wrong number may be billions
            raise ValueError(f"{dimensions} dimensions")
        self.elements[name] = math.prod(int(self._scalar("Q")) for _ in range(dimensions))
        self._scalar("I")  # its type
        return int(self._scalar("Q")), name

    def _scalar(self, form: str) -> float:
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return value  # type: ignore[no-any-return]  # struct is untyped by nature

    def _string(self) -> str:
        length = int(self._scalar("Q"))
        if length > self.size_bytes - self._at:
            raise struct.error("text beyond the end of the file")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", errors="replace")


def _facts(header: _Header) -> GGUFInfo:
    arch = header.text("general.architecture")
    return GGUFInfo(
        architecture=excerpt(arch, 60),
        name=header.text("general.name"),
        context_length=header.number(f"{arch}.context_length"),
        block_count=header.number(f"{arch}.block_count"),
        head_size=_head_size(header, arch),
        kv_bytes_per_token=2 * _kv_values(header, arch),
        state_bytes=_state_bytes(header, arch),
        chat_template=header.text("tokenizer.chat_template"),
        parameter_count=sum(header.elements.values()),
        active_parameters=_active_parameters(header, arch),
        size_bytes=header.size_bytes,
    )


def names_of(name: str, gguf: Path) -> tuple[str, str]:
    """Normalise ``general.name`` and the file's name of a GGUF: lower case, hyphens between the words."""
    own, stem = (re.sub(r"[\s_]+", "-", each.strip().lower()) for each in (name, gguf.stem))
    return own, stem


def _active_parameters(header: _Header, arch: str) -> int:
    experts, used = header.number(f"{arch}.expert_count"), header.number(f"{arch}.expert_used_count")
    # llama.cpp takes the input embedding where a file has no output matrix.
    looked_up = _LOOKUP_TABLES if "output.weight" in header.elements else _LOOKUP_TABLES - {_INPUT_EMBEDDING}
    active = 0
    for name, count in header.elements.items():
        if name not in looked_up:
            active += count * used // experts if experts and "_exps." in name else count
    return active


def _head_size(header: _Header, arch: str) -> int:
    """Numbers in one key: as stated, or the model's width over its heads; 0 if unknown."""
    return header.number(f"{arch}.attention.key_length", _width_by_heads(header, arch))


def _width_by_heads(header: _Header, arch: str) -> int:
    heads = header.number(f"{arch}.attention.head_count")
    return header.number(f"{arch}.embedding_length") // heads if heads else 0


def _kv_values(header: _Header, arch: str) -> int:
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


def _state_bytes(header: _Header, arch: str) -> int:
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


def _layers_with_attention(header: _Header, arch: str, layers: int) -> int:
    """Count the first ``layers`` that have attention, by their numbers of heads or by their interval."""
    per_layer = header.values.get(f"{arch}.attention.head_count_kv")
    if isinstance(per_layer, list):
        return sum(heads > 0 for heads in per_layer[:layers])
    return layers // (header.number(f"{arch}.full_attention_interval") or 1)
