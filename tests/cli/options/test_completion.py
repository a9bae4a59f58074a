"""Completions of a shell, asked for as bash asks."""

import io
import os
from contextlib import redirect_stdout, suppress
from pathlib import Path
from unittest import mock

import pytest
from sample_log import pens
from traces import written

from adascale.cli.app import app
from adascale.cli.options import completion
from adascale.cli.options.completion import whole_words


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "stores/ollama"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "state" / "adascale" / "runs"
    runs.mkdir(parents=True)
    written(runs / "20260101-120000-aaaa.jsonl", pens().events)
    written(runs / "20260102-120000-bbbb.jsonl", pens().events)
    (tmp_path / "mine.gguf").write_bytes(b"")
    (tmp_path / "mine.txt").write_bytes(b"")
    return tmp_path


def offered(*words: str) -> list[str]:
    """Completions for ``adascale WORDS``, split as bash splits them, with the cursor behind the last one."""
    env = {
        "_ADASCALE_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["adascale", *words]),
        "COMP_CWORD": str(len(words)),
    }
    out = io.StringIO()
    with mock.patch.dict(os.environ, env), redirect_stdout(out), suppress(SystemExit), whole_words():
        app([], prog_name="adascale")
    return out.getvalue().split()


def test_models_are_completed_by_name_and_by_file(home: Path) -> None:
    assert offered("ask", "-g", "qwen2.5-coder-1") == ["qwen2.5-coder-1.5b"]
    assert offered("models", "pull", "smollm") == ["smollm2-135m", "smollm3-3b"]
    assert completion.models("min") == ["minicpm5-1b", "mine.gguf"]
    assert "state/" in completion.models("")
    assert completion.judges("se") == ["self"]


@pytest.fixture
def stores(home: Path) -> None:
    """Empty files where other programs keep their models: a listing opens none."""
    for file in (
        "stores/ollama/manifests/registry.ollama.ai/library/qwen3/0.6b",
        "stores/ollama/manifests/registry.ollama.ai/library/qwen3/1.7b",
        "home/.lmstudio/models/someone/m-GGUF/m-Q4_K_M.gguf",
    ):
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).touch()


@pytest.mark.usefixtures("stores")
def test_models_of_other_programs_are_completed() -> None:
    assert completion.models("ollama:") == ["ollama:qwen3:0.6b", "ollama:qwen3:1.7b"]
    assert completion.models("lms") == ["lmstudio:someone/m-GGUF:Q4_K_M"]
    assert offered("ask", "-g", "oll") == ["ollama:qwen3:0.6b", "ollama:qwen3:1.7b"]


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        (("ollama", ":"), ["qwen3:0.6b", "qwen3:1.7b"]),
        (("ollama", ":", "qw"), ["qwen3:0.6b", "qwen3:1.7b"]),
        (("ollama", ":", "qwen3", ":"), ["0.6b", "1.7b"]),
        (("ollama", ":", "qwen3", ":", "1"), ["1.7b"]),
        (("lmstudio", ":", "some"), ["someone/m-GGUF:Q4_K_M"]),
        (('"ollama:qwen3:1',), ["ollama:qwen3:1.7b"]),  # in quotes it is one word
        (("ollama", ":", ""), []),  # behind a blank another word begins
        (("mystery", ":", "qw"), []),
    ],
)
def test_bash_splits_names_at_colons(typed: tuple[str, ...], completions: list[str]) -> None:
    assert offered("ask", "-g", *typed) == completions


def test_a_colon_of_a_question_splits_nothing(home: Path) -> None:
    assert offered("ask", "'One of two: 1 or 2:'", "-g", "min") == ["minicpm5-1b", "mine.gguf"]
    assert offered("ask", '"Either:\n:\n1"', "-g", "min") == ["minicpm5-1b", "mine.gguf"]


def test_strategies_and_commands_are_completed(home: Path) -> None:
    assert offered("ask", "--strategy", "be") == ["best-of-n", "beam"]
    assert offered("con") == ["config"]


def test_runs_are_completed_the_newest_first(home: Path) -> None:
    assert offered("replay", "2026") == ["20260102-120000-bbbb", "20260101-120000-aaaa"]
    assert offered("runs", "rm", "20260101") == ["20260101-120000-aaaa"]


def test_settings_are_completed(home: Path) -> None:
    assert offered("config", "set", "mod") == ["mode", "model"]


def test_nothing_to_offer_is_no_error(home: Path) -> None:
    assert completion.models("[no]*such") == []
    assert completion.traces("zzz") == []
