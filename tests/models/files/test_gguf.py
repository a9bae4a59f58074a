from __future__ import annotations

import math
import os
import struct
import time
from pathlib import Path

import pytest
from tiny import gguf_bytes

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError
from adascale.models.files.gguf import read_info

METADATA = {
    "general.architecture": "qwen2",
    "general.name": "Tiny",
    "qwen2.context_length": 4096,
    "qwen2.block_count": 2,
    "qwen2.embedding_length": 64,
    "qwen2.attention.head_count": 4,
    "qwen2.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": [f"token {n}" for n in range(2000)],
    "tokenizer.ggml.token_type": list(range(2000)),
    "tokenizer.chat_template": "{{ messages }}",
}


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    return path


def test_a_whole_file_passes_and_tells_its_facts(tmp_path: Path) -> None:
    path = write(tmp_path, gguf_bytes(METADATA, {"a": (64, 10), "b": (3,)}))
    info = read_info(path)
    assert (info.architecture, info.name) == ("qwen2", "Tiny")
    assert (info.context_length, info.block_count) == (4096, 2)
    assert (info.chat_template, info.parameter_count) == ("{{ messages }}", 643)
    assert info.size_bytes == path.stat().st_size
    assert info.kv_bytes_per_token == 2 * 2 * (16 + 16) * 2
    assert info.head_size == 16


EMBEDDING, OUTPUT, LAYER = {"token_embd.weight": (4, 100)}, {"output.weight": (4, 100)}, {"blk.0.a": (4, 6)}
EXPERTS = {"blk.0.ffn_up_exps.weight": (4, 5, 8)}
MIXTURE = METADATA | {"qwen2.expert_count": 8, "qwen2.expert_used_count": 2}


@pytest.mark.parametrize(
    ("tensors", "active"),
    [
        pytest.param(EMBEDDING | LAYER | OUTPUT, 424, id="an input embedding is looked up"),
        pytest.param(EMBEDDING | LAYER, 424, id="a tied embedding is the output matrix"),
        pytest.param(LAYER | OUTPUT | {"position_embd.weight": (4, 9)}, 424, id="positions are looked up"),
        pytest.param(LAYER | OUTPUT | EXPERTS, 464, id="experts that are not in use rest"),
    ],
)
def test_active_parameters_are_those_that_a_token_is_multiplied_by(
    tmp_path: Path, tensors: dict[str, tuple[int, ...]], active: int
) -> None:
    assert read_info(write(tmp_path, gguf_bytes(MIXTURE, tensors))).active_parameters == active


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "is not a GGUF file (starts with b'<!DOCTYP')"),
        (b"PK\x03\x04 a wheel", "is not a GGUF file (starts with b'PK"),
        (b"GGUF\x63\0\0\0" + b"\0" * 16, "is GGUF version 99; this llama.cpp reads up to 3"),
        (b"GGUF\x03\0\0\0", "is incomplete"),
    ],
)
def test_other_things_are_called_by_their_name(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(ModelCorruptError) as raised:
        read_info(write(tmp_path, data))
    assert raised.value.message.startswith(f"m.gguf {words}")


def test_nothing_and_a_directory(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "is a directory"), (tmp_path / "none.gguf", "no such file")):
        with pytest.raises(ModelNotFoundError, match=f"cannot read .*: {why}") as refused:
            read_info(path)
        assert refused.value.hint


def test_a_torn_file_names_the_tensor_and_both_sizes(tmp_path: Path) -> None:
    path = write(tmp_path, gguf_bytes(tensors={"first": (1000, 1000), "last": (8, 8)}))
    os.truncate(path, 3_000_000)
    with pytest.raises(ModelCorruptError, match="is incomplete") as raised:
        read_info(path)
    here = "3 MB of more than 4 MB are here"
    assert raised.value.facts == (f"tensor last lies beyond the end of the file ({here})",)


def test_every_truncation_before_the_last_tensor_is_noticed(tmp_path: Path) -> None:
    small = {"general.architecture": "llama", "tokenizer.ggml.tokens": ["a", "b"], "numbers": [1, 2]}
    data = gguf_bytes(small, {"t": (8, 4), "u": (8,)})
    read_info(write(tmp_path, data))
    for size in range(len(data) - 4 * 8 + 1):
        with pytest.raises(ModelCorruptError):
            read_info(write(tmp_path, data[:size]))


def replaced(metadata: dict[str, object], old: bytes, new: bytes) -> bytes:
    data = gguf_bytes({"general.architecture": "llama", **metadata})
    assert data.count(old) == 1
    return data.replace(old, new)


DAMAGED = {
    "a number that is none": gguf_bytes(METADATA | {"qwen2.attention.head_count": math.nan}),
    "a list without end": gguf_bytes(METADATA | {"qwen2.context_length": [math.inf]}),
    "a negative number": gguf_bytes(METADATA | {"qwen2.block_count": -1.0}),
    "a number of parts that is none": gguf_bytes(METADATA | {"split.count": "two"}),
    "an unknown type": replaced({"key": 1}, b"key\5\0\0\0", b"key\x63\0\0\0"),
    "an array of arrays": replaced({"key": [1]}, b"key\t\0\0\0\5", b"key\t\0\0\0\t"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_header_is_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(ModelCorruptError, match=r"m\.gguf is incomplete or damaged"):
        read_info(write(tmp_path, DAMAGED[what]))


@pytest.mark.parametrize(
    ("counts", "rest"),
    [
        ((1 << 63, 0), bytes(10_000_000)),  # tensors
        ((0, 1 << 63), bytes(10_000_000)),  # fields
        ((1, 0), struct.pack("<QI", 0, 50_000) + b"\xff" * 400_000),  # dimensions of a tensor
    ],
)
def test_a_header_that_promises_endless_work_is_refused_at_once(
    tmp_path: Path, counts: tuple[int, int], rest: bytes
) -> None:
    path = write(tmp_path, b"GGUF\3\0\0\0" + struct.pack("<QQ", *counts) + rest)
    began = time.process_time()
    with pytest.raises(ModelCorruptError):
        read_info(path)
    assert time.process_time() - began < 0.5


def test_a_part_of_a_model_says_how_the_parts_are_joined(tmp_path: Path) -> None:
    part = write(tmp_path, gguf_bytes(METADATA | {"split.count": 2}))
    with pytest.raises(ModelCorruptError, match="one of 2 parts") as raised:
        read_info(part)
    assert "llama-gguf-split" in raised.value.hint
