"""What a shell is offered, asked for as bash asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sample_log import pens
from traces import written

from adascale.cli.options import completion


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "state" / "adascale" / "runs"
    runs.mkdir(parents=True)
    written(runs / "20260101-120000-aaaa.jsonl", pens().events)
    written(runs / "20260102-120000-bbbb.jsonl", pens().events)
    (tmp_path / "mine.gguf").write_bytes(b"")
    (tmp_path / "mine.txt").write_bytes(b"")
    return tmp_path


def offered(*words: str) -> list[str]:
    """What bash gets for ``adascale WORDS`` with the cursor behind the last one."""
    line = " ".join(["adascale", *words])
    env = {
        **os.environ,
        "_ADASCALE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
    }
    code = "import sys; sys.argv = ['adascale']; from adascale.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_models_are_completed_by_name_and_by_file(home: Path) -> None:
    assert offered("ask", "-g", "qwen2.5-coder-1") == ["qwen2.5-coder-1.5b"]
    assert offered("models", "pull", "smollm") == ["smollm2-135m", "smollm3-3b"]
    assert completion.models("min") == ["minicpm5-1b", "mine.gguf"]
    assert "state/" in completion.models("")
    assert completion.judges("se") == ["self"]


def test_strategies_and_commands_are_completed(home: Path) -> None:
    assert offered("ask", "--strategy", "be") == ["best-of-n", "beam"]
    assert offered("con") == ["config"]


def test_runs_are_completed_the_newest_first(home: Path) -> None:
    assert offered("replay", "2026") == ["20260102-120000-bbbb", "20260101-120000-aaaa"]
    assert offered("runs", "rm", "20260101") == ["20260101-120000-aaaa"]


def test_settings_are_completed(home: Path) -> None:
    assert offered("config", "set", "gen") == ["generator"]


def test_nothing_to_offer_is_no_error(home: Path) -> None:
    assert completion.models("[no]*such") == []
    assert completion.traces("zzz") == []
