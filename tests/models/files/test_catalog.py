"""The models that are known by name, and references as users type them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from adascale.engine.errors import ModelNotFoundError
from adascale.models.files.catalog import (
    DEFAULT_GENERATOR,
    ModelReference,
    ThinkingSupport,
    catalog,
    choose_file,
    parse,
    quant_of,
    sampling_of,
)
from adascale.models.options import SamplingParams

FILES = [
    "a-IQ4_0.gguf",
    "a-Q4_0.gguf",
    "a-Q8_0.gguf",
    "mmproj-F16.gguf",
    "._a-Q8_0.gguf",
    "a-Q5_K_M-00001-of-00002.gguf",
    "R.md",
]


def test_the_default_is_the_first_entry_and_comes_from_two_sources() -> None:
    assert next(iter(catalog())) == DEFAULT_GENERATOR
    assert catalog()[DEFAULT_GENERATOR].wheel is not None


def test_every_entry_is_well_formed() -> None:
    for name, spec in catalog().items():
        assert spec.name == name
        assert re.fullmatch(r"[a-z0-9.-]+", name)
        assert spec.file.endswith(".gguf")
        assert re.fullmatch(r"[\w.-]+/[\w.-]+-GGUF", spec.hub.repo)
        assert re.fullmatch(r"[0-9a-f]{64}", spec.sha256)
        assert re.fullmatch(r"[0-9a-f]{40}", spec.hub.revision)
        assert bool(spec.architecture) is (spec.role == "generator")
        assert (spec.kv_bytes_per_token is not None) is (spec.role == "generator")
        assert spec.thinking in get_args(ThinkingSupport)
        for numbers in spec.sampling.values():
            assert SamplingParams(**dict[str, Any](numbers)).record()["max_tokens"]


def test_the_llama_cpp_that_is_installed_knows_the_architecture_of_every_entry() -> None:
    found = importlib.util.find_spec("llama_cpp")
    assert found is not None
    assert found.origin is not None
    library = next((Path(found.origin).parent / "lib").glob("*llama.*")).read_bytes()
    named = {spec.architecture for spec in catalog().values()} - {""}
    assert not {name for name in named if f"{name}\0".encode() not in library}


@pytest.mark.parametrize(
    ("architecture", "parameters", "name", "like"),
    [
        ("qwen35", 752_000_000, "qwen3.5-0.8b-base-q8-0", "qwen3.5-0.8b"),
        ("qwen35", 8_950_000_000, "unsloth-qwen3.5-9b", "qwen3.5-4b"),
        ("llama", 1_080_632_832, "minicpm5-1b-f16", "minicpm5-1b"),
        ("llama", 1_240_000_000, "llama-3.2-1b-instruct", None),
        ("gemma3", 4_300_000_000, "gemma-4-e4b", None),
    ],
)
def test_a_file_without_an_entry_has_the_sampler_of_its_family(
    architecture: str, parameters: int, name: str, like: str | None
) -> None:
    expected = catalog()[like].sampling if like else {}
    assert sampling_of(architecture, parameters, [name]) == expected


def test_importing_the_library_imports_nothing_heavy() -> None:
    code = (
        "import sys, adascale.models.files.library, adascale.cli.commands.models\n"
        "heavy = {'huggingface_hub', 'llama_cpp', 'httpx2', 'unearth', 'numpy', 'psutil'}\n"
        "print(*heavy & set(sys.modules))"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


@pytest.mark.parametrize(
    ("ref", "revision", "wanted"),
    [
        ("hf:a/b", None, None),
        ("hf://a/b@v1:q8_0", "v1", "q8_0"),
        ("hf.co/a/b:Q4_0", None, "Q4_0"),
        ("https://huggingface.co/a/b/", None, None),
        ("https://huggingface.co/a/b/tree/dev", "dev", None),
        ("https://huggingface.co/a/b/resolve/main/s/x.gguf?download=true", "main", "s/x.gguf"),
        ("a/b:x-Q4.gguf", None, "x-Q4.gguf"),
    ],
)
def test_hub_references(ref: str, revision: str | None, wanted: str | None) -> None:
    reference = parse(ref)
    assert isinstance(reference, ModelReference)
    assert (reference.repo, reference.revision, reference.quant) == ("a/b", revision, wanted)


@pytest.mark.parametrize("ref", ["models/x.gguf", "C:\\m\\x.gguf"])
def test_paths(ref: str) -> None:
    assert parse(ref) == Path(ref)


def test_an_existing_file_wins_over_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "name").write_bytes(b"x")
    assert parse("owner/name") == Path("owner/name")
    (tmp_path / "smollm2-135m").mkdir()  # a folder is no file
    assert isinstance(parse("smollm2-135m"), ModelReference)


def test_the_repository_of_a_known_model_gets_its_pins() -> None:
    wanted = parse("hf:qwen/qwen2.5-coder-1.5b-instruct-gguf:q4_k_m")
    assert isinstance(wanted, ModelReference)
    assert wanted.exact() is not None
    other = parse("hf:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF:Q8_0")
    assert isinstance(other, ModelReference)
    assert other.exact() is None


@pytest.mark.parametrize("ref", ["", "a b", "x" * 300, "x\0y"])
def test_a_path_that_cannot_be_one_is_no_model(ref: str) -> None:
    with pytest.raises(ModelNotFoundError, match="no model called"):
        parse(ref)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelNotFoundError, match=r'no model called "qwen3\.5-2"') as raised:
        parse("qwen3.5-2")
    assert "did you mean qwen3.5-2b" in raised.value.hint
    with pytest.raises(ModelNotFoundError) as raised:
        parse("zzzzzz")
    assert raised.value.hint == "`adascale list` lists the models here"


@pytest.mark.parametrize(
    ("quant", "file"),
    [
        (None, "a-Q8_0.gguf"),
        ("q4_0", "a-Q4_0.gguf"),
        ("IQ4_0", "a-IQ4_0.gguf"),
        ("A-q8_0.GGUF", "a-Q8_0.gguf"),
        ("Q5_K_M", None),
        ("F16", None),
        ("Q8_0.gguf", "a-Q8_0.gguf"),
    ],
)
def test_choice_of_a_file(quant: str | None, file: str | None) -> None:
    assert choose_file(FILES, quant) == file


def test_q4_k_m_comes_before_q8_0_and_the_first_comes_last() -> None:
    assert choose_file([*FILES, "a-q4_k_m.gguf"], None) == "a-q4_k_m.gguf"
    assert choose_file(["z-Q2_K.gguf", "b-Q3_K_S.gguf"], None) == "b-Q3_K_S.gguf"
    assert choose_file(["README.md"], None) is None


@pytest.mark.parametrize(
    ("file", "quant"),
    [
        ("qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("x-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("model.gguf", "model.gguf"),
    ],
)
def test_quant_of_a_file_name(file: str, quant: str) -> None:
    assert quant_of(file) == quant
