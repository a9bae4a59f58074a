"""``ask`` as a user types it, on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
from commands import run


@pytest.fixture
def ask(env: dict[str, str], chain_gguf: Path):  # type: ignore[no-untyped-def]
    def call(*args: str, **more):  # type: ignore[no-untyped-def]
        return run(env, "ask", "-m", str(chain_gguf), "--seed", "1", *args, **more)

    return call


def test_the_answer_and_only_the_answer_is_on_stdout(ask) -> None:  # type: ignore[no-untyped-def]
    done = ask("What is twice 9?")
    assert (done.returncode, done.stdout) == (0, "18\n"), done.stderr
    assert ask("What is twice 9?", "-v").stdout.endswith("3. The answer is 18.\nAnswer: 18\n")
    record = json.loads(ask("What is twice 9?", "--json", "--strategy", "greedy", "--prm", "self").stdout)
    assert (record["schema"], record["answer"]) == ("adascale.answer/1", "18")
    assert (record["search"]["strategy"], record["prm"] is None) == ("greedy", False)


def test_choices_without_an_option_are_refused(ask) -> None:  # type: ignore[no-untyped-def]
    done = ask("Which colour?", "--choices", " , ")
    assert (done.returncode, done.stdout, "--choices red,green,blue" in done.stderr) == (2, "", True)


def test_the_question_comes_from_a_pipe_with_or_without_a_dash(ask) -> None:  # type: ignore[no-untyped-def]
    for args in ([], ["-"]):
        done = ask(*args, stdin=b"\xef\xbb\xbfWhat is twice 9?\r\n")
        assert (done.stdout, done.returncode) == ("18\n", 0), done.stderr


def test_each_question_is_kept_unless_told_otherwise(  # type: ignore[no-untyped-def]
    ask, env: dict[str, str], tmp_path: Path
) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    asked = ask("What is twice 9?", more=state)
    ask("What is thrice 9?", "--no-save", more=state)

    failed = run(env, "ask", "-m", str(tmp_path / "none.gguf"), "What is 9 four times?", more=state)
    assert failed.returncode == 4  # a search that never began is no run

    listed = run(env, "runs", "list", "--json", more=state).stdout.splitlines()

    assert [json.loads(line)["question"] for line in listed] == ["What is twice 9?"]
    assert run(env, "replay", more=state).stdout == asked.stdout


def test_a_reply_of_a_question_that_no_answer_is_read_from_is_shown(
    env: dict[str, str], tmp_path: Path
) -> None:
    chain = {"\n": {tiny.YES: 3.0}, tiny.YES: {tiny.END: 3.0}}
    model = str(tiny.write_chain(tmp_path / "yes.gguf", chain))
    done = run(env, "ask", "-m", model, "Is it?", "-q", "--as", "value")
    assert (done.stdout, done.returncode) == ("Yes\n", 0)


def test_a_message_without_an_answer_gets_one_reply_and_no_probability(ask) -> None:  # type: ignore[no-untyped-def]
    done = ask("hi")
    assert (done.returncode, done.stdout.count("The answer is"), "Answer:" in done.stdout) == (0, 1, False)
    assert "know" not in done.stdout + done.stderr
    assert "tokens" not in done.stderr
    assert "● question" not in ask("hi", "--show-tree").stderr, "a reply has no tree"

    flags = ["--effort", "low", "-o", "min_confidence", ".8"]  # do not ask for a search
    record = json.loads(ask("hi", "--json", *flags).stdout)
    assert (record["status"], record["kind"], record["answer"]) == ("answered", "text", None)
    assert record["solution"] == done.stdout.strip()
    assert record["confidence"]["p"] is None


def test_what_is_piped_in_stands_below_the_question(ask, env: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
    def question(**stdin) -> str:  # type: ignore[no-untyped-def]
        return str(json.loads(ask("Sum these:", "--json", **stdin).stdout)["question"])

    assert question(stdin=b"1 2\n3\n") == "Sum these:\n\n1 2\n3"
    assert question() == "Sum these:"
    said = [ask("Sum these:", *more, stdin=b"1 2\n3\n").stderr for more in ([], ["-q"])]
    assert ["2 lines of stdin" in text for text in said] == [True, False]
    assert "of stdin" not in ask("Sum these:").stderr + ask(stdin=b"Hm?").stderr


def test_an_answer_below_the_wanted_confidence_is_printed_and_exits_3(ask) -> None:  # type: ignore[no-untyped-def]
    done = ask("What is twice 9?", "-o", "min_confidence", ".8", "--calibration", "none")
    # A score is no probability, however high.
    assert (done.returncode, done.stdout) == (3, "18\n")
    assert "less sure than -o min_confidence 0.8" in done.stderr
