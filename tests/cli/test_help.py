"""Help: every command shows how it is typed, and what is shown can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from commands import run_here
from terminal import environment

from adascale.cli.app import COMMANDS, app, load_command

SCREEN = 24
"""Lines of a terminal."""


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, below in getattr(command, "commands", {}).items():
        yield from leaves(below, f"{path} {name}")
    if not hasattr(command, "commands"):
        yield path, command


LEAVES = {path: leaf for name in COMMANDS for path, leaf in leaves(load_command(name), f"adascale {name}")}


def examples(help_text: str) -> list[str]:
    """The second paragraph, behind the line that says what the command does."""
    return [line.strip() for line in help_text.split("\n\n")[1].removeprefix("\b\n").strip().splitlines()]


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


def test_the_help_of_ask_fits_two_screens() -> None:
    done = run_here(environment(COLUMNS="100"), "ask", "-h")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(lines) <= 2 * SCREEN
    assert max(map(len, lines)) <= 100
    assert {name for each in LEAVES["adascale ask"].params for name in each.opts if name[:2] == "--"} <= set(
        done.stdout.replace(",", " ").split()
    )


def test_help_of_everything_is_plain_in_a_pipe() -> None:
    done = run_here(environment(COLUMNS="80"))
    text = done.stdout + done.stderr
    assert "\x1b" not in text
    assert text.index("adascale ") < text.index("Options:")
    assert max(map(len, text.splitlines())) <= 110  # examples are not broken
