"""What is typed: questions without a command, flags and names of ``-o``, and errors in one form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import run_here
from terminal import Screen, environment, on_terminal

from adascale.cli.app import COMMANDS, load_command
from adascale.cli.options.command_line import with_ask
from adascale.cli.options.settings import FALLBACK, ROWS, SEARCH, SESSION, Settings, read_settings
from adascale.engine.request import SearchRequest
from adascale.engine.types import Budget, SamplingChange
from adascale.models.options import THINK_TOKENS, FallbackOptions, SessionOptions

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
        (["shwo", "it"], "shwo is no command", "adascale show? adascale ask 'shwo it' asks it"),
        (["ask", "--efort", "low", "hi"], "adascale ask has no option --efort", "did you mean --effort?"),
        (["ask", "--strategy", "passing", "hi"], "--strategy passing is not one of", "adascale config"),
        (["-m", "x", "what", "code"], "adascale has no option -m", "as in adascale ask -m"),
        (["show", "What", "is"], "unexpected extra argument(s) (is)", "quotes keep words together"),
        (["rm"], "missing argument 'NAME'", "adascale rm -h"),
        (["ask", "hi", "-o", "ctxsize", "8192"], "adascale ask has no -o ctxsize", "-o ctx_size 8192"),
        (["ask", "hi", "-o", "effort", "low"], "adascale ask has no -o effort", "--effort low"),
        (["ask", "hi", "-o", "ctx_size", "100"], "-o ctx_size should be greater", "adascale config"),
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


def test_with_json_an_error_is_an_object_on_stdout_too() -> None:
    done = run_here(environment(), "ask", "--json", "-o", "samples", "0", "hi")
    record = json.loads(done.stdout)
    assert (record["schema"], record["status"], record["error"]["code"]) == (
        "adascale.error/1",
        "error",
        "usage",
    )
    assert record["error"]["message"] in done.stderr


def parsed(*args: str) -> Settings:
    """The settings of ``ask`` with these flags."""
    context: Any = load_command("ask").make_context("ask", [*args, "hi"])
    return read_settings(context, *SESSION, *SEARCH, *FALLBACK, "keep_alive")


def test_nothing_typed_is_the_default() -> None:
    settings = parsed()
    assert settings == Settings()
    assert (settings.session(), settings.search()) == (SessionOptions(), SearchRequest())
    assert settings.other_server() == FallbackOptions()


def test_every_setting_has_its_flag_or_its_name_in_some_command() -> None:
    commands = [load_command(name) for name in COMMANDS]
    flags = {parameter.name for command in commands for parameter in command.params}
    assert {name for name, row in ROWS.items() if row.flags} <= flags


def test_what_is_typed_arrives_where_its_field_is() -> None:
    typed = "-m a.gguf --time-limit 2m -vv --seed 3 -o budget 8000 -o max_tokens 99 -o temperature 0.7"
    ask = parsed(*typed.split(), "-o", "gpu_layers", "all", "-o", "fallback_below", ".5")
    assert ask.search().budget == Budget(max_tokens=8000, max_seconds=120.0)
    assert ask.session().sampling == SamplingChange(temperature=0.7, max_tokens=99)
    assert (ask.session().generator, ask.session().gpu_layers) == ("a.gguf", -1)
    assert (ask.verbose, ask.search().seed) == (2, 3)
    assert ask.other_server() == FallbackOptions(below=0.5)
    assert parsed("-o", "gpu_layers", "all", "-o", "gpu_layers", "auto").gpu_layers is None


@pytest.mark.parametrize(
    ("typed", "says"), [("-o samples 4", True), ("--mode prose", True), ("-e high", False)]
)
def test_some_settings_say_how_to_search(typed: str, says: bool) -> None:
    assert parsed(*typed.split()).says_how == says


def test_a_wrong_variable_is_named() -> None:
    done = run_here(environment(ADASCALE_SAMPLES="0"), "ask", "hi")
    assert "samples from the environment (ADASCALE_SAMPLES) should be greater" in done.stderr


@pytest.mark.parametrize(
    ("typed", "tokens"),
    [("off", 0), ("on", THINK_TOKENS), ("auto", None), ("300", 300)],
)
def test_thinking_is_a_word_or_a_number(typed: str, tokens: int | None) -> None:
    assert parsed("--think", typed).session().think == tokens


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
