"""Errors and warnings, each provoked for real: the rendered form of one, the codes of the others."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import llama_cpp
import pytest
from commands import Home, run_here, run_process

Ask = Callable[..., tuple[str, int]]
"""The code that stderr names, and the exit code."""

LLAMA_CPP_HAS_GPU = llama_cpp.llama_supports_gpu_offload()


@pytest.fixture
def home(tmp_path: Path, chain_gguf: Path) -> Home:
    return Home(tmp_path, chain_gguf, tmp_path)


@pytest.fixture
def ask(home: Home) -> Ask:
    options = ("--calibration", "none", "--strategy", "greedy", "-q")

    def call(*args: str) -> tuple[str, int]:
        done = run_here(home.sealed, "ask", "hi", "-m", str(home.model), *options, *args)
        return named(done.stderr), done.returncode

    return call


def named(stderr: str) -> str:
    [name] = re.findall(r"(?m)^(?:error|warning)\[([\w-]+)\]: ", stderr)
    return str(name)


def test_an_error_says_what_happened_the_facts_and_a_fix_to_paste(home: Home) -> None:
    done = run_here(home.sealed, "ask", "hi", "-m", "qwen2.5-codr-1.5b")
    assert (done.stderr, done.returncode) == (
        'error[model-not-found]: no model called "qwen2.5-codr-1.5b" on this machine or in the catalogue\n'
        "  looked in: Hugging Face cache, catalogue\n"
        "hint: did you mean qwen2.5-coder-1.5b?  adascale list shows what is here\n",
        4,
    )


def test_a_gguf_that_llama_cpp_aborts_on(home: Home, tmp_path: Path) -> None:
    key = b"llama.block_count"
    path, data = tmp_path / "mine.gguf", bytearray(home.model.read_bytes())
    at = data.index(key) + len(key) + 4  # behind the type
    data[at : at + 4] = struct.pack("<I", 0)
    path.write_bytes(data)
    done = run_process(home.sealed, "ask", "hi", "-m", str(path))
    assert (named(done.stderr), done.returncode) == ("bad-gguf", 4)


def test_a_prm_format_that_is_none(ask: Ask) -> None:
    assert ask("--prm", "math-sheperd=x.gguf") == ("unknown-prm-format", 2)


@pytest.mark.skipif(LLAMA_CPP_HAS_GPU, reason="this build has GPU support")
def test_no_gpu_build(ask: Ask) -> None:
    assert ask("-o", "gpu_layers", "99") == ("no-gpu-build", 0)
