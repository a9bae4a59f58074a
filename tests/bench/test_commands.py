"""Every bench can be run: the documentation names commands that exist, and each says what it takes."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
COMMAND = re.compile(r"python -m (bench(?:\.[a-z_]+)+)")


def commands() -> list[str]:
    """Modules of the benches that have a command."""
    files = sorted((ROOT / "bench").rglob("*.py"))
    with_main = [file for file in files if '__name__ == "__main__"' in file.read_text(encoding="utf-8")]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in with_main]


@pytest.mark.parametrize("name", commands())
def test_a_bench_answers_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(name)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.setenv("COLUMNS", "1000")

    with pytest.raises(SystemExit) as ended:
        module.main()

    assert not ended.value.code
    assert f"python -m {name}" in capsys.readouterr().out


def test_the_documentation_names_commands_that_exist() -> None:
    pages = {ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.md")}
    named = {name for page in pages for name in COMMAND.findall(page.read_text(encoding="utf-8"))}

    assert named
    assert named <= set(commands())
