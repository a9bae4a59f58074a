"""What is typed: questions without a command, flags and names of ``-o``, and errors in one form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import run_here
from terminal import Screen, environment, on_terminal
from typer.testing import CliRunner

from adascale.cli.app import COMMANDS
from adascale.cli.options.by_command import (
    OPTION_TYPES,
    AskOptions,
)
from adascale.cli.options.command_line import with_ask
from adascale.cli.options.declare import FLAGS
from adascale.cli.options.settings import Command, parameters, with_options
from adascale.engine.types import Budget
from adascale.models.options import THINK_TOKENS, FallbackOptions, SamplingOverrides

NO_MODEL = 4


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (["-m", "no.gguf", "two\nlines"], b""),
        (["17*a", "-v", "-m", "no.gguf"], b""),
        ([], b"What is twice 2?"),
    ],
)
def test_a_question_is_asked_without_a_command(words: list[str], stdin: bytes) -> None:
    done = run_here(environment(ADASCALE_MODEL="no.gguf"), *words, stdin=stdin)
    assert (done.returncode, done.stdout) == (NO_MODEL, "")
    assert "error[model-not-found]" in done.stderr


def test_nothing_typed_is_a_chat_where_one_can_talk_and_help_elsewhere() -> None:
    command, env = ["-m", "adascale"], environment(ADASCALE_MODEL="no.gguf")

    def leave(process: subprocess.Popen[bytes], screen: Screen) -> None:
        screen.wait_for("Loading")
        process.kill()

    on_terminal(command, env, act=leave, keyboard=True, whole=True)
    piped = on_terminal(command, env, keyboard=True)
    assert (piped.code, "Usage: " in piped.stderr) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["ask", "a question"],
        ["aks"],
        ["confg", "set", "model", "x"],
        ["help"],
        ["-h"],
        ["--version", "a b"],
        ["-m", "X", "ask"],
        [],
    ],
)
def test_commands_and_mistyped_ones_are_no_questions(words: list[str]) -> None:
    assert with_ask(words, COMMANDS) == words


@pytest.mark.parametrize(
    "typed",
    ["How many legs", "Why not -x", "chats are?", "hi"],
)
def test_a_question_needs_no_quotes(typed: str) -> None:
    assert with_ask(typed.split(), COMMANDS) == ["ask", *typed.split()]


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["lits", "--fits"], "lits is no command", "did you mean adascale list?"),
        (["shwo", "it"], "shwo is no command", "adascale show? adascale ask 'shwo it' asks it"),
        (["ask", "--efort", "low", "hi"], "adascale ask has no option --efort", "did you mean --effort?"),
        (["ask", "--strategy", "passing", "hi"], "--strategy passing is not one of", "adascale ask -h"),
        (["ask", "--time-limit", "soon", "hi"], "--time-limit soon is not a time, such as 90s", "ask -h"),
        (
            ["-m", "x", "what", "code"],
            "adascale has no option -m",
            "behind their command, as in adascale ask -m",
        ),
        (["show", "What", "is"], "unexpected extra argument(s) (is)", "quotes keep words together"),
        (["calibrate", "fti"], "No such command", "adascale calibrate -h"),
        (["rm"], "NAME is missing", "adascale rm -h"),
        # -o names a field, with its range:
        (["ask", "hi", "-o", "ctxsize", "8192"], "adascale ask has no -o ctxsize", "-o ctx_size 8192"),
        (["ask", "hi", "-o", "effort", "low"], "adascale ask has no -o effort", "--effort low"),
        (["ask", "hi", "-o", "ctx_size", "100"], "-o ctx_size should be greater", "adascale config"),
        (["ask", "hi", "-o", "ctx_size"], "requires 2 arguments", "adascale ask -h"),
        (["ask", "hi", "--ctx-size", "8192"], "adascale ask has no option --ctx-size", "-o ctx_size?"),
    ],
)
def test_a_usage_error_says_what_is_wrong_and_what_to_type(words: list[str], said: str, hint: str) -> None:
    done = run_here(environment(), *words)
    assert (done.returncode, done.stdout) == (2, "")
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("error[usage]: ")
    assert said.lower() in first.lower()
    assert last.startswith("hint: ")
    assert hint in last


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--json", "-m", "no.gguf", "What is twice 2?"], "model-not-found"),
        (["ask", "--json", "-o", "samples", "0", "hi"], "usage"),
    ],
)
def test_with_json_an_error_is_an_object_on_stdout_too(words: list[str], code: str) -> None:
    done = run_here(environment(), *words)
    found = json.loads(done.stdout)
    assert (found["schema"], found["status"], found["error"]["code"]) == ("adascale.error/1", "error", code)
    assert found["error"]["message"] in done.stderr
    assert found["error"]["hint"] in done.stderr


def parsed(group: type[Any], *args: str) -> Any:
    """The options that a command with ``group`` gets."""
    taken: list[Any] = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command(cls=Command)
    @with_options(group)
    def command(*, options: Any) -> None:
        taken.append(options)

    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return taken[0]


def parts(options: Any) -> set[type[Any]]:
    """Types of the objects that options are made of."""
    values = [getattr(options, field.name) for field in fields(options)]
    return {type(options)}.union(*(parts(value) for value in values if is_dataclass(value)))


@pytest.mark.parametrize("command", OPTION_TYPES)
def test_nothing_typed_is_the_default(command: type[Any]) -> None:
    assert parsed(command) == command()


def test_every_declaration_has_its_field() -> None:
    used = set().union(*(parts(command()) for command in OPTION_TYPES))
    for owner, flags in FLAGS.items():
        assert owner in used
        assert set(flags) <= {field.name for field in fields(owner)}


def test_what_is_typed_arrives_where_its_field_is() -> None:
    typed = "-m a.gguf --time-limit 2m -vv --seed 3 -o budget 8000 -o max_tokens 99 -o temperature 0.7"
    ask = parsed(AskOptions, *typed.split(), "-o", "gpu_layers", "all", "-o", "fallback_below", ".5")
    assert ask.search.budget == Budget(max_tokens=8000, max_seconds=120.0)
    assert ask.session.sampling == SamplingOverrides(temperature=0.7, max_tokens=99)
    assert (ask.session.generator, ask.session.gpu_layers) == ("a.gguf", -1)
    assert (ask.view.terminal.verbose, ask.search.seed) == (2, 3)
    assert ask.fallback == FallbackOptions(below=0.5)
    assert (
        parsed(AskOptions, "-o", "gpu_layers", "all", "-o", "gpu_layers", "auto").session.gpu_layers is None
    )


def test_every_name_of_o_takes_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        key: each for key, each in parameters(AskOptions).items() if each.hidden and each.default is not None
    }
    assert {"force", "fallback_below"} <= found.keys()
    words = [word for key, each in found.items() for word in ("-o", key, str(each.default))]
    assert parsed(AskOptions, *words) == AskOptions()


def test_a_wrong_variable_is_named() -> None:
    done = run_here(environment(ADASCALE_SAMPLES="0"), "ask", "hi")
    assert "ADASCALE_SAMPLES should be greater" in done.stderr


@pytest.mark.parametrize(
    ("typed", "tokens"),
    [("off", 0), ("0", 0), ("on", THINK_TOKENS), ("auto", None), ("300", 300)],
)
def test_thinking_is_a_word_or_a_number(typed: str, tokens: int | None) -> None:
    assert parsed(AskOptions, "--think", typed).session.think == tokens


def test_a_config_file_imports_no_other_command(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('effort = "high"\n')
    code = (
        "import sys; sys.argv = ['adascale', 'runs', 'path']\n"
        "from adascale.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('adascale.cli.commands.')))\n"
    )
    env = {**os.environ, "ADASCALE_CONFIG": str(tmp_path / "config.toml"), "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.splitlines()[-1] == "['adascale.cli.commands.runs']", done.stderr
