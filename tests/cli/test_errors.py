"""Errors: each provoked for real, their exit codes, and what they tell to type."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from commands import Home, run_here

from adascale.cli import app
from adascale.cli.app import COMMANDS, load_command
from adascale.cli.exit_codes import exit_code
from adascale.cli.options.settings import HOW, ROWS, typed_as
from adascale.cli.terminal.errors import as_typed
from adascale.engine import errors
from adascale.engine.errors import command, setting


@pytest.fixture
def home(tmp_path: Path, chain_gguf: Path) -> Home:
    return Home(tmp_path, chain_gguf, tmp_path)


def test_an_error_says_what_happened_the_facts_and_a_fix_to_paste(home: Home) -> None:
    done = run_here(home.sealed, "ask", "hi", "-m", "qwen2.5-codr-1.5b")
    assert (done.stderr, done.returncode) == (
        'error[model-not-found]: no model called "qwen2.5-codr-1.5b" on this machine or in the catalogue\n'
        "  looked in: Hugging Face cache, catalogue\n"
        "hint: did you mean qwen2.5-coder-1.5b?  adascale list lists the models here\n",
        4,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.ModelCorruptError("x"), 4),
        (errors.MemoryOverflowError("x"), 5),
        (errors.WorkerAbortedError("x"), 1),
        (ValueError("x"), 1),
    ],
)
def test_the_nearest_class_decides(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(("value", "is_shown"), [("1", True), ("", False)])
def test_a_traceback_is_shown_where_debugging_is_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str, is_shown: bool
) -> None:
    def fail(**options: bool) -> None:
        raise ZeroDivisionError

    monkeypatch.setenv("ADASCALE_DEBUG", value)
    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit):
        app.main()
    assert ("Traceback" in capsys.readouterr().err) == is_shown


ROOT = Path(__file__).parents[2]
LEAVES = [*map(load_command, COMMANDS), *getattr(load_command("calibrate"), "commands", {}).values()]
FLAGS = {name for leaf in LEAVES for each in leaf.params for name in each.opts if name[:2] == "--"}
TYPED = {*FLAGS, *map(typed_as, ROWS)}
LEAK = re.compile(rf"(?<![\w-])(?:{'|'.join(FLAGS)}|-o \w+)(?![\w-])|\badascale (?:{'|'.join(COMMANDS)})\b")
"""A flag, a name of ``-o`` or a command of ours."""
BELOW = [path for room in ("engine", "models", "api") for path in sorted((ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (setting("ctx_size", 1024), "-o ctx_size 1024"),
        (setting("generator"), "--model"),
        (setting("prm", "judge=my model.gguf"), "--prm 'judge=my model.gguf'"),
        (command("list"), "adascale list"),
    ],
)
def test_a_setting_is_typed_as_its_flag(text: str, typed: str) -> None:
    assert as_typed(f"use {text} or not") == f"use {typed} or not"


def test_every_setting_that_an_error_names_can_be_typed() -> None:
    named = {name for path in BELOW for name in re.findall(r"setting\(['\"](\w+)", path.read_text("utf-8"))}
    assert len(named) > 5
    named |= {*HOW, "effort", "seed", "width", "temperature", "top_p", "max_tokens"} - {"kind"}
    assert {as_typed(setting(name)) for name in named} <= TYPED


def test_below_the_command_line_nobody_spells_a_flag_or_a_command() -> None:
    assert [(path, text) for path in BELOW for text in texts(path) if LEAK.search(text)] == []


def texts(path: Path) -> list[str]:
    """Texts in the code of a file, without its docstrings and the words of ``command``."""
    tree = ast.parse(path.read_text("utf-8"))
    left_out = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "command":
            left_out.update(node.args)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in left_out]
    return [node.value for node in found if isinstance(node.value, str)]
