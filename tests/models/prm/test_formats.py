"""How a file's PRM format is settled, and the judge: the text that it reads and who can be one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
import tiny_prm
from machine import text_of

from adascale.engine.errors import UsageError
from adascale.engine.ports import Prefix
from adascale.engine.types import Problem
from adascale.models.files.catalog import catalog
from adascale.models.files.gguf import read_info
from adascale.models.files.library import ModelFile
from adascale.models.llama.model import LlamaModel
from adascale.models.prm.formats import FORMATS, settle_format, split_reference

from . import scoring
from .scoring import Opened, step


def own(path: Path) -> ModelFile:
    return ModelFile(str(path), path, "", None, "path", read_info(path))


@pytest.mark.parametrize(
    ("named", "file", "expected"),
    [
        ("Qwen2.5 Coder 1.5B Instruct", "qwen2.5-coder-1.5b-instruct-q4_k_m", "judge"),
        ("Llama 3.1 8B Instruct", "model", "judge"),
        ("models", "RLHFlow.Llama3.1-8B-PRM-Deepseek-Data.Q4_K_M", "rlhflow-deepseek"),
        ("Llama3.1 8B PRM Deepseek Data", "x", "rlhflow-deepseek"),
        ("", "math-shepherd-mistral-7b-rl.Q4_0", "judge"),
    ],
)
def test_names_of_a_file_outside_the_catalogue_choose_the_format(
    named: str, file: str, expected: str, tmp_path: Path
) -> None:
    path = tiny_prm.write_mistral(tmp_path / f"{file}.gguf", name=named)
    assert settle_format(own(path), None, print, offline=True) == expected


@pytest.mark.parametrize(
    ("named", "file"),
    [
        ("EurusPRM Stage1", "EurusPRM-Stage1.Q4_K_M"),
        ("", "math-shepherd-mistral-7b-prm.Q4_0"),
        ("Qwen2.5 Math 7B Instruct PRM 0.2", "model"),
    ],
)
def test_a_prm_of_another_format_is_not_read_as_a_judge(named: str, file: str, tmp_path: Path) -> None:
    path = tiny_prm.write_mistral(tmp_path / f"{file}.gguf", name=named)
    with pytest.raises(UsageError, match="its format is not clear") as raised:
        settle_format(own(path), None, print, offline=True)
    assert "rlhflow-deepseek" in raised.value.facts[0]
    assert raised.value.hint.startswith('`prm="FORMAT=')
    assert settle_format(own(path), "judge", print, offline=True) == "judge"


def test_a_reference_may_name_the_format() -> None:
    assert split_reference("qwen-math-prm=./a=b.gguf") == ("qwen-math-prm", "./a=b.gguf")
    assert split_reference("judge=self") == ("judge", "self")
    assert split_reference("./a=b.gguf") == (None, "./a=b.gguf")
    assert split_reference("hf:a/b:Q4_0") == (None, "hf:a/b:Q4_0")


def test_the_catalogue_chooses_the_format_and_generators_are_judges(tmp_path: Path) -> None:
    path = tiny_prm.write_mistral(tmp_path / "some-prm.gguf")
    for spec in catalog().values():
        assert (spec.role == "prm") == (spec.format is not None)
        assert (spec.format or "judge") in FORMATS
        file = ModelFile(spec.name, path, "", spec, "cache", read_info(path))
        assert settle_format(file, None, print, offline=True) == (spec.format or "judge")


PROBLEM = Problem("p", "What is twice 9?")


A, B = step("1. Nine twos."), step("2. That is 18.")


@pytest.fixture
def prm(random_gguf: Path) -> Iterator[Opened]:
    with scoring.opened(random_gguf, "judge") as opened:
        yield opened


def test_the_judges_text_has_one_turn_per_step_in_the_models_template(prm: Opened) -> None:
    text = "".join(prm.model.token_text(token) for token in prm.tokens(PROBLEM, A, B))
    assert text.count(tiny.START) == 5  # system, user, assistant, user, and the open assistant turn
    assert tiny.spelled("Problem: What is twice 9?\n\nSolution:\n1. Nine twos.") in text
    assert text.endswith(
        tiny.spelled("2. That is 18.")
        + tiny.END
        + tiny.spelled("\n")
        + tiny.START
        + "assistant"
        + tiny.spelled("\n")
    )


def test_a_sentencepiece_script_has_the_tokens_of_its_whole_text(tmp_path: Path) -> None:
    """Such a vocabulary puts a space before a text, but not before each of the pieces it comes in."""
    with scoring.opened(tiny_prm.write_mistral(tmp_path / "plain.gguf"), "judge") as plain:
        tokens = plain.tokens(PROBLEM, A, B)
        text = text_of(plain.model, tokens).lstrip()
        assert text.endswith(
            "Problem: What is twice 9?\n\nSolution:\n1. Nine twos.\n\nYes\n\n2. That is 18.\n\n"
        )
        assert list(tokens[1:]) == plain.model.tokenize(text, special=True)


REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
LEAVING_OUT = tiny.CHATML.replace("in messages %}", "in messages if m.role != 'system' %}")


@pytest.mark.parametrize("template", [REFUSING + tiny.CHATML, LEAVING_OUT])
def test_a_template_without_a_system_role_can_judge(tmp_path: Path, template: str) -> None:
    model = LlamaModel(tiny.write_chain(tmp_path / "strict.gguf", template=template))
    tokens, _ = FORMATS["judge"](model).script.tokens(model, Prefix(PROBLEM, (A,)))
    text = text_of(model, tokens)
    assert text.index("You check solutions") < text.index("Problem: What is twice 9?")
    assert (text.count("user\n"), text.count("assistant\n"), text.count("system\n")) == (1, 1, 0)
    model.close()


def test_a_template_that_rewrites_turns_cannot_judge(tmp_path: Path) -> None:
    last_only = "<|im_start|>{{ messages[-1].content }}<|im_end|>"
    model = LlamaModel(tiny.write_chain(tmp_path / "odd.gguf", template=last_only))
    with pytest.raises(UsageError, match="is no judge PRM"):
        FORMATS["judge"](model)
    model.close()
