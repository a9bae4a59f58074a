"""Typed lines: questions without a command, short names, words of other tools, errors in one form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inprocess import run_here
from terminal import environment

from adascale.cli.app import COMMANDS
from adascale.cli.options.command_line import unknown_command, with_ask

NO_MODEL = 4


@pytest.mark.parametrize(
    "words",
    [
        ["What is 2+2?", "-g", "no.gguf"],
        ["-g", "no.gguf", "What is 2+2?"],
        ["What is 2+2?", "-x", "-g", "no.gguf"],
        ["two\nlines", "-g", "no.gguf"],
        ["17*23", "-g", "no.gguf"],
        ["-g", "no.gguf", "17*23"],
        ["-g", "no.gguf", "hi"],
        ["hi", "-g", "no.gguf"],
        ["Photosynthesis", "-g", "no.gguf"],
    ],
)
def test_a_question_is_asked_without_a_command(words: list[str]) -> None:
    done = run_here(environment(), *words)
    assert (done.returncode, done.stdout) == (NO_MODEL, "")
    assert "error[model-not-found]" in done.stderr


def test_a_piped_question_is_asked_without_a_command() -> None:
    done = run_here(environment(ADASCALE_MODEL="no.gguf"), stdin=b"What is 2+2?")
    assert (done.returncode, done.stdout) == (NO_MODEL, "")
    assert "error[model-not-found]" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["ask", "a question"],
        ["what", "is", "love"],
        ["-h"],
        ["--version", "a b"],
        ["-m", "X", "ask", "a b"],
        [],
    ],
)
def test_other_words_stay_as_they_are(words: list[str]) -> None:
    assert with_ask(words, COMMANDS) == words


@pytest.mark.parametrize(
    ("words", "meant"), [(["modls", "list"], "models"), (["aks"], "ask"), (["lits", "--fits"], "list")]
)
def test_a_mistyped_command_is_no_question(words: list[str], meant: str) -> None:
    done = run_here(environment(), *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "error[usage]" in done.stderr
    assert f"did you mean adascale {meant}?" in done.stderr


@pytest.mark.parametrize(("word", "instead"), [("ls", "adascale list"), ("logs", "adascale runs")])
def test_a_word_of_another_tool_has_its_counterpart(word: str, instead: str) -> None:
    assert instead in unknown_command([word], COMMANDS).hint


def test_words_without_quotes_are_all_in_the_command_that_asks_them() -> None:
    assert "adascale 'what is love' asks it" in unknown_command(["what", "is", "love"], COMMANDS).hint


@pytest.mark.parametrize("words", [["ask", "-c", "512", "Which?"], ["chat", "-c", "512"]])
def test_a_size_behind_c_is_that_of_the_context(words: list[str]) -> None:
    done = run_here(environment(), *words)
    assert done.returncode == 2
    assert "hint: --ctx-size 512" in done.stderr


@pytest.mark.parametrize(("words", "same"), [(["help"], ["-h"]), (["help", "ask"], ["ask", "-h"])])
def test_help_is_a_word_for_the_option(words: list[str], same: list[str]) -> None:
    assert with_ask(words, COMMANDS) == same


def test_a_short_name_is_the_command_of_models(tmp_path: Path) -> None:
    env = environment(HF_HOME=str(tmp_path))
    long, short = (run_here(env, *words, "show", "smollm2-135m", "--json") for words in (["models"], []))
    assert (long.returncode, long.stderr) == (0, "")
    assert short.stdout == long.stdout


@pytest.mark.parametrize(
    ("words", "tells"),
    [
        (["ask", "--efort", "low", "hi"], "did you mean --effort?"),
        (["ask", "-e", "hihg", "hi"], "did you mean high?"),
        (["ask", "--samples", "0", "hi"], "--samples 0 is less than 1"),
        (["ask", "--samples", "many", "hi"], "--samples many is not a whole number"),
        (["ask", "-e"], "-e needs a value"),
        (["ask", "--json=1"], "--json takes no value"),
        (["ask", "-m"], "adascale ask --help-all shows"),
        (["serve", "--api-key"], "adascale serve --help-all shows"),
        (["calibrate", "fit", "--data"], "adascale calibrate fit --help-all shows"),
        (["-5 + 3?"], "adascale -- '-5 + 3?'"),
        (["ask", "-x", "-x is 3. What is x?"], "adascale -- '-x is 3. What is x?'"),
        (["code", "-n, doubled"], "adascale code -- '-n, doubled'"),
        (["ask", "--efort", "low", "-- what?"], "did you mean --effort?"),
        (["ask", "What", "is", "it"], "is it"),
        (["models", "pul"], "did you mean pull?"),
        (["chat", "llama3"], "chat -m llama3"),
        (["config", "get", "model"], "did you mean adascale config show?"),
        (["eval"], "hint: adascale eval "),
        (["--josn"], "--josn"),
    ],
)
def test_every_usage_error_has_the_form_of_the_others(words: list[str], tells: str) -> None:
    done = run_here(environment(), *words)
    assert (done.returncode, done.stdout) == (2, "")
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("error[usage]: ")
    assert last.startswith("hint: ")
    assert tells in done.stderr
    assert "Value error" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["ask", "-g", "no.gguf", "What is 2+2?", "--json"], "model-not-found"),
        (["--json", "-g", "no.gguf", "What is 2+2?"], "model-not-found"),
        (["ask", "--json", "-e", "hihg", "hi"], "usage"),
        (["models", "show", "no.gguf", "--json"], "model-not-found"),
    ],
)
def test_with_json_an_error_is_an_object_on_stdout_too(words: list[str], code: str) -> None:
    done = run_here(environment(), *words)
    found = json.loads(done.stdout)
    assert (found["schema"], found["status"], found["error"]["code"]) == ("adascale.error/1", "error", code)
    assert found["error"]["message"] in done.stderr
    assert found["error"]["hint"] in done.stderr


def test_a_calibration_is_shown_by_the_model_that_it_is_for() -> None:
    named, found, usual = (
        run_here(environment(), "calibrate", "show", *words)
        for words in (["qwen2.5-coder-0.5b+probe"], ["-m", "qwen2.5-coder-0.5b"], [])
    )
    assert named.returncode == found.returncode == usual.returncode == 0
    assert found.stdout == named.stdout != usual.stdout
