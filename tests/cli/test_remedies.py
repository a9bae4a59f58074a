"""Settings and commands that errors name: flags on the command line, words of Python in the layers below."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from adascale.cli.app import COMMANDS
from adascale.cli.options.by_command import OPTION_TYPES
from adascale.cli.options.settings import parameters
from adascale.cli.terminal.console import as_typed
from adascale.engine.errors import command, setting

ROOT = Path(__file__).parents[2]
TYPED = {each.opts[0] for options in OPTION_TYPES for each in parameters(options).values()}
FLAGS = {typed for typed in TYPED if typed.startswith("--")}
LEAK = re.compile(rf"(?<![\w-])(?:{'|'.join(FLAGS)}|-o \w+)(?![\w-])|\badascale (?:{'|'.join(COMMANDS)})\b")
"""A flag, a name of ``-o`` or a command of ours."""
BELOW = [path for room in ("engine", "models", "api") for path in sorted((ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (setting("ctx_size", 1024), "-o ctx_size 1024"),
        (setting("force", True), "-o force true"),
        (setting("gpu_layers"), "-o gpu_layers"),
        (setting("generator"), "--model"),
        (setting("prm", "judge=my model.gguf"), "--prm 'judge=my model.gguf'"),
        (command("list"), "adascale list"),
        (command("rm", "./my model.gguf"), "adascale rm './my model.gguf'"),
    ],
)
def test_a_setting_is_typed_as_its_flag(text: str, typed: str) -> None:
    assert as_typed(f"use {text} or not") == f"use {typed} or not"


def test_every_setting_that_an_error_names_can_be_typed() -> None:
    named = {name for path in BELOW for name in re.findall(r"setting\(['\"](\w+)", path.read_text("utf-8"))}
    assert len(named) > 5
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
