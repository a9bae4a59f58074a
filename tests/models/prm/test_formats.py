"""How a file's PRM format is settled: the user's word, the catalogue's, the file's own name, else judge."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_prm

from adascale.engine.errors import UsageError
from adascale.models.files.catalog import catalog
from adascale.models.files.gguf import read_info
from adascale.models.files.library import ModelFile
from adascale.models.prm.formats import FORMATS, settle_format, split_reference


def own(path: Path) -> ModelFile:
    return ModelFile(str(path), path, "", None, "path", read_info(path))


@pytest.mark.parametrize(
    ("named", "file", "expected"),
    [
        ("Qwen2.5 Coder 1.5B Instruct", "qwen2.5-coder-1.5b-instruct-q4_k_m", "judge"),
        ("Llama 3.1 8B Instruct", "model", "judge"),
        ("Llama3.1 8B PRM Deepseek Data", "model-Q4_K_M", "rlhflow-deepseek"),
        ("models", "RLHFlow.Llama3.1-8B-PRM-Deepseek-Data.Q4_K_M", "rlhflow-deepseek"),
        ("Llama3.1 8B PRM Mistral Data", "x", "rlhflow-mistral"),
        ("", "math-shepherd-mistral-7b-prm.Q4_0", "math-shepherd"),
        ("math-shepherd-mistral-7b-rl", "math-shepherd-mistral-7b-rl.Q4_0", "judge"),
    ],
)
def test_files_that_are_not_in_the_catalogue_say_it_themselves(
    named: str, file: str, expected: str, tmp_path: Path
) -> None:
    path = tiny_prm.write_mistral(tmp_path / f"{file}.gguf", name=named)
    assert settle_format(own(path), None, print, offline=True) == expected


@pytest.mark.parametrize(
    ("named", "file"),
    [
        ("EurusPRM Stage1", "EurusPRM-Stage1.Q4_K_M"),
        ("", "PRM-Math-7B-Reasoner"),
        ("Qwen2.5 Math 7B Instruct PRM 0.2", "model"),
        ("ThinkPRM 14B", "x"),
    ],
)
def test_a_prm_of_another_format_is_not_read_as_a_judge(named: str, file: str, tmp_path: Path) -> None:
    path = tiny_prm.write_mistral(tmp_path / f"{file}.gguf", name=named)
    with pytest.raises(UsageError, match="of which format is not clear") as raised:
        settle_format(own(path), None, print, offline=True)
    assert "math-shepherd" in raised.value.facts[0]
    assert raised.value.hint.startswith('`prm="FORMAT=')
    assert settle_format(own(path), "judge", print, offline=True) == "judge"


def test_the_user_can_say_it_in_the_reference() -> None:
    assert split_reference("math-shepherd=./a=b.gguf") == ("math-shepherd", "./a=b.gguf")
    assert split_reference("judge=self") == ("judge", "self")
    assert split_reference("./a=b.gguf") == (None, "./a=b.gguf")
    assert split_reference("hf:a/b:Q4_0") == (None, "hf:a/b:Q4_0")


def test_the_catalogue_says_it_for_its_prms_and_generators_are_judges(tmp_path: Path) -> None:
    path = tiny_prm.write_mistral(tmp_path / "some-prm.gguf")
    for spec in catalog().values():
        assert (spec.role == "prm") == (spec.format is not None)
        assert (spec.format or "judge") in FORMATS
        file = ModelFile(spec.name, path, "", spec, "cache", read_info(path))
        assert settle_format(file, None, print, offline=True) == (spec.format or "judge")
    formats = {spec.format for spec in catalog().values() if spec.role == "prm"}
    assert formats == {"math-shepherd", "rlhflow-deepseek"}
