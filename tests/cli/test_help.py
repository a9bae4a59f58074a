"""Help: every command shows how it is typed, and what is shown can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from inprocess import run_here
from terminal import environment

from adascale.cli.app import app
from adascale.cli.options.help import EVERYDAY

Leaf = tuple[str, Any]


def commands(group: Any = None, path: str = "adascale") -> Iterator[Leaf]:
    group = typer.main.get_command(app) if group is None else group
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


LEAVES = dict(commands())


def examples(help_text: str) -> list[str]:
    """The second paragraph, behind the line that says what the command does."""
    return [line.strip() for line in help_text.split("\n\n")[1].strip().splitlines()]


@pytest.mark.parametrize("path", LEAVES)
def test_examples_come_first_and_can_be_typed(path: str) -> None:
    shown = examples(LEAVES[path].help)
    assert any(path in line for line in shown)
    for line in shown:
        command = line[line.index("adascale ") :].partition(" > ")[0].rstrip(')"') if "$(" in line else line
        for part in command.split(" | "):
            if part.startswith("adascale "):
                _, *words = shlex.split(part.partition(" > ")[0])
                group = typer.main.get_command(app)
                context: Any = group.make_context("adascale", words)
                while hasattr(group, "commands"):
                    words = [*context._protected_args, *context.args]
                    name, group, words = group.resolve_command(context, words)
                    context = group.make_context(name, words, parent=context)


def test_the_list_of_commands_has_the_first_lines_of_their_own_help() -> None:
    root = typer.main.get_command(app)
    context: Any = root.make_context("adascale", ["ask"])
    for name, command in root.commands.items():
        assert root.get_command(context, name).help == " ".join(command.help.split("\n\n")[0].split())


@pytest.mark.parametrize("words", [[], ["ask", "-h"], ["calibrate", "fit", "--help"]])
def test_help_is_plain_in_a_pipe(words: list[str]) -> None:
    done = run_here(environment(COLUMNS="80"), *words)
    assert "\x1b" not in done.stdout + done.stderr
    text = done.stdout + done.stderr
    assert text.index("adascale ") < text.index("─ Options")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("path", [path for path, leaf in LEAVES.items() if leaf.name in EVERYDAY])
def test_short_help_has_the_everyday_options_and_the_other_layer_all(path: str) -> None:
    _, *words = path.split()
    options = {name for each in LEAVES[path].params for name in each.opts if name.startswith("--")}
    everyday = {names.split()[0] for names in EVERYDAY[words[-1]]} | {"--help", "--help-all"}

    def shown(layer: str) -> set[str]:
        done = run_here(environment(COLUMNS="200"), *words, layer)
        assert (done.returncode, done.stderr) == (0, "")
        rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
        return {name for row in rows for name in re.findall("--[a-z-]+", row[:40])}

    assert shown("-h") == shown("--help") == everyday
    assert shown("--help-all") >= options


def test_a_question_that_begins_with_a_dash() -> None:
    assert run_here(environment(), "ask", "-5 + 3?").returncode == 2
    asked = run_here(environment(), "ask", "-g", "no.gguf", "--", "-5 + 3?")
    assert asked.returncode == 4
    assert "error[model-not-found]" in asked.stderr
