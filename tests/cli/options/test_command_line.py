"""Typed lines: questions without a command, and errors in one form."""

from __future__ import annotations

import json

import pytest
from commands import run_here
from terminal import environment

from adascale.cli.app import COMMANDS
from adascale.cli.options.command_line import with_ask

NO_MODEL = 4


@pytest.mark.parametrize(
    "words",
    [
        ["What is 2+2?", "-m", "no.gguf"],
        ["-m", "no.gguf", "two\nlines"],
        ["17*23", "-x", "-m", "no.gguf"],
        ["-m", "no.gguf", "hi"],
        ["hi", "-m", "no.gguf"],
    ],
)
def test_a_question_is_asked_without_a_command(words: list[str]) -> None:
    done = run_here(environment(), *words)
    assert (done.returncode, done.stdout) == (NO_MODEL, "")
    assert "error[model-not-found]" in done.stderr


def test_a_piped_question_is_asked_without_a_command() -> None:
    done = run_here(environment(ADASCALE_MODEL="no.gguf"), stdin=b"What is 2+2?")
    assert (done.returncode, done.stdout) == (NO_MODEL, "")


@pytest.mark.parametrize(
    "words",
    [
        ["ask", "a question"],
        ["what", "is", "love"],
        ["aks"],
        ["help"],
        ["-h"],
        ["--version", "a b"],
        ["-m", "X", "ask"],
        [],
    ],
)
def test_other_words_stay_as_they_are(words: list[str]) -> None:
    assert with_ask(words, COMMANDS) == words


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["lits", "--fits"], "lits is no command", "did you mean adascale list?"),
        (["Why", "not"], "Why is no command", "adascale ask 'Why not' asks it"),
        (["ask", "--efort", "low", "hi"], "adascale ask has no option --efort", "did you mean --effort?"),
        (
            ["ask", "-e", "hihg", "hi"],
            "--effort hihg is not one of low, medium, high, max",
            "adascale ask -h",
        ),
        (
            ["ask", "--time-limit", "soon", "hi"],
            "--time-limit soon is not a time, such as 90s",
            "adascale ask -h",
        ),
        (["serve", "--port", "http"], "--port http is not a whole number", "adascale serve -h"),
        (["ask", "-x", "-x is 3. What is x?"], "no option", "adascale ask -- '-x is 3. What is x?'"),
        (["ask", "What", "is", "it"], "takes no more words, and got: is it", "quotes keep words together"),
        (["calibrate", "fti"], "No such command", "adascale calibrate -h"),
        (["eval"], "FILE is missing", "adascale eval test.jsonl"),
        # -o names a field, with its range:
        (["ask", "hi", "-o", "ctxsize", "8192"], "adascale ask has no -o ctxsize", "-o ctx_size 8192"),
        (["ask", "hi", "-o", "effort", "low"], "adascale ask has no -o effort", "--effort low"),
        (["ask", "hi", "-o", "max_queue", "3"], "adascale ask has no -o max_queue", "it is for serve"),
        (["ask", "hi", "-o", "ctx_size", "100"], "-o ctx_size 100 is less than 512", "adascale options"),
        (["ask", "hi", "-o", "samples", "many"], "-o samples many is not a whole number", "adascale options"),
        (["ask", "hi", "-o", "paper", "so"], "-o paper so is neither true nor false", "adascale options"),
        (
            ["ask", "hi", "-o", "color", "red"],
            "-o color red is not one of auto, always, never",
            "adascale options",
        ),
        (["ask", "hi", "-o", "ctx_size"], "requires 2 arguments", "adascale ask -h"),
        (["ask", "hi", "--ctx-size", "8192"], "adascale ask has no option --ctx-size", "-o ctx_size 8192"),
        (["ask", "--paper", "hi"], "adascale ask has no option --paper", "-o paper VALUE"),
        (["export", "--parallel", "3"], "adascale export has no option --parallel", "adascale export -h"),
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
        (["--json", "-m", "no.gguf", "What is 2+2?"], "model-not-found"),
        (["ask", "--json", "-o", "samples", "0", "hi"], "usage"),
    ],
)
def test_with_json_an_error_is_an_object_on_stdout_too(words: list[str], code: str) -> None:
    done = run_here(environment(), *words)
    found = json.loads(done.stdout)
    assert (found["schema"], found["status"], found["error"]["code"]) == ("adascale.error/1", "error", code)
    assert found["error"]["message"] in done.stderr
    assert found["error"]["hint"] in done.stderr
