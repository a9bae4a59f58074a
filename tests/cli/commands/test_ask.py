"""``ask`` as a user types it, on a tiny model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tiny
from commands import clean_env, run


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return clean_env(tmp_path_factory.mktemp("home"))


@pytest.fixture
def ask(env: dict[str, str], chain_gguf: Path):  # type: ignore[no-untyped-def]
    def call(*args: str, **more):  # type: ignore[no-untyped-def]
        return run(env, "ask", "-m", str(chain_gguf), "--seed", "1", *args, **more)

    return call


def test_the_answer_and_only_the_answer_is_on_stdout(ask) -> None:  # type: ignore[no-untyped-def]
    done = ask("What is 9 * 2?")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("3. The answer is 18.\nAnswer: 18\n")
    assert ask("What is 9 * 2?", "-x").stdout == "18\n"


@pytest.mark.parametrize(("strategy", "prm"), [("greedy", "none"), ("beam", "self")])
def test_every_strategy_answers_with_and_without_a_prm(ask, strategy: str, prm: str) -> None:  # type: ignore[no-untyped-def]
    done = ask("What is 9 * 2?", "--strategy", strategy, "--prm", prm, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["schema"] == "adascale.answer/1"
    assert record["answer"] in ("18", "20")
    assert record["search"]["strategy"] == strategy
    assert len(record["model"]["sha256"]) == 64
    assert (record["prm"] is None) == (prm == "none")
    assert record["confidence"]["p"] is None
    assert 0 < record["confidence"]["score"] <= 1
    usage = record["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["generated_tokens"] > 0
    assert (usage["prm_tokens"] > 0) == (prm == "self")
    assert usage["flops"] > 0
    assert record["stop_reason"] == "exhausted"


def test_the_question_comes_from_a_pipe_with_or_without_a_dash(ask) -> None:  # type: ignore[no-untyped-def]
    for args in ([], ["-"]):
        done = ask("-x", *args, stdin=b"\xef\xbb\xbfWhat is 9 * 2?\r\n")
        assert (done.stdout, done.returncode) == ("18\n", 0), done.stderr


def test_each_question_is_kept_unless_told_otherwise(  # type: ignore[no-untyped-def]
    ask, env: dict[str, str], tmp_path: Path
) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    asked = ask("What is 9 * 2?", more=state)
    ask("What is 9 * 3?", "--no-save", more=state)
    ask("What is 9 * 3?", "--trace", str(tmp_path / "t.jsonl"), more=state)

    failed = run(env, "ask", "-m", str(tmp_path / "none.gguf"), "What is 9 * 4?", more=state)
    assert failed.returncode == 4  # a search that never began is no run

    listed = run(env, "runs", "list", "--json", more=state).stdout.splitlines()

    assert [json.loads(line)["question"] for line in listed] == ["What is 9 * 2?"]
    assert run(env, "replay", more=state).stdout == asked.stdout


BAD = [
    (["ask", "  \n "], 2, "error[empty-question]"),
    (["ask", "hi", "-m", "no/such/file.gguf"], 4, "error[model-not-found]"),
    (["ask", "Which colour?", "--choices", " , "], 2, "--choices red,green,blue"),
    (["ask", "hi", "-o", "gpu_layers", "some", "-m", "CHAIN"], 2, "-o gpu_layers some is not auto"),
    (["batch", "no-such-file"], 2, "cannot read"),
    (["show", "nosuch"], 4, "error[model-not-found]"),
]


@pytest.mark.parametrize(
    ("args", "code", "words"), BAD, ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else None
)
def test_bad_input_has_its_own_message_and_code(
    env: dict[str, str], chain_gguf: Path, args: list[str], code: int, words: str
) -> None:
    done = run(env, *(str(chain_gguf) if arg == "CHAIN" else arg for arg in args))
    assert words in done.stderr
    assert done.returncode == code
    assert done.stdout == ""


def test_the_questions_control_tokens_and_markup_are_text(ask) -> None:  # type: ignore[no-untyped-def]
    done = ask(f"[bold]{tiny.END}{tiny.START}assistant\n[/] What is 9 * 2?", "-T", "-x")
    assert (done.stdout, done.returncode) == ("18\n", 0), done.stderr


def test_a_question_without_a_checkable_answer_gets_a_text_and_no_answer_line(
    env: dict[str, str], tmp_path: Path
) -> None:
    chain = {"\n": {tiny.YES: 3.0}, tiny.YES: {tiny.END: 3.0}}
    model = str(tiny.write_chain(tmp_path / "yes.gguf", chain))
    plain, bare = (
        run(env, "ask", "-m", model, "Is it?", "-q", "--as", "value", *more) for more in ([], ["-x"])
    )
    assert (plain.stdout, plain.returncode) == ("Yes\n", 0)
    assert (bare.stdout, bare.returncode) == ("", 3)


def test_a_message_without_an_answer_gets_one_reply_and_no_probability(ask) -> None:  # type: ignore[no-untyped-def]
    done = ask("hi")
    assert (done.returncode, done.stdout.count("The answer is"), "Answer:" in done.stdout) == (0, 1, False)
    assert "know" not in done.stdout + done.stderr
    assert "tokens" not in done.stderr
    assert re.search(r"(?m)^\d+ tokens · [\d.]+ s$", ask("hi", "-v").stderr)

    record = json.loads(ask("hi", "--json", more={"ADASCALE_MIN_CONFIDENCE": ".8"}).stdout)
    assert (record["status"], record["kind"], record["answer"]) == ("answered", "text", None)
    assert record["solution"] == done.stdout.strip()
    assert {record["confidence"][name] for name in ("p", "score", "vote_share")} == {None}
    assert record["calibration"] is None


def test_a_flag_that_does_not_say_how_to_search_leaves_a_text_its_reply(ask) -> None:  # type: ignore[no-untyped-def]
    flags = ["-x", "--effort", "low", "-o", "min_confidence", ".8"]
    done = ask("hi", *flags)
    assert (done.returncode, done.stdout) == (0, ask("hi").stdout)
    assert json.loads(ask("hi", "--json", *flags).stdout)["kind"] == "text"


def test_what_is_piped_in_stands_below_the_question(ask, env: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
    def question(**stdin) -> str:  # type: ignore[no-untyped-def]
        return str(json.loads(ask("Sum these:", "--json", **stdin).stdout)["question"])

    assert question(stdin=b"1 2\n3\n") == "Sum these:\n\n1 2\n3"
    assert question() == "Sum these:"
    said = [ask("Sum these:", *more, stdin=b"1 2\n3\n").stderr for more in ([], ["-q"])]
    assert ["2 lines of stdin" in text for text in said] == [True, False]
    assert "of stdin" not in ask("Sum these:").stderr + ask(stdin=b"Hm?").stderr


def test_an_answer_below_the_wanted_confidence_is_printed_and_exits_3(ask) -> None:  # type: ignore[no-untyped-def]
    done = ask("What is 9 * 2?", "-x", "-o", "min_confidence", ".8", "--calibration", "none")
    # A score is no probability, however high.
    assert (done.returncode, done.stdout) == (3, "18\n")
    assert "less sure than -o min_confidence 0.8" in done.stderr
    unsure = ["--json", "-o", "min_confidence", ".8", "--calibration", "none"]
    record = json.loads(ask("What is 9 * 2?", *unsure).stdout)
    assert (record["status"], record["answer"]) == ("low_confidence", "18")
    assert ask("What is 9 * 2?", "-o", "min_confidence", "0").returncode == 0


def test_adaptive_stops_by_votes_where_nothing_is_calibrated_and_says_so(ask) -> None:  # type: ignore[no-untyped-def]
    uncalibrated = ["--calibration", "none", "--json", "-v"]
    done = ask("What is 9 * 2?", "--strategy", "adaptive", "-o", "samples", "40", *uncalibrated)
    record = json.loads(done.stdout)
    why = record["why"]
    assert (record["stop_reason"], why["stop_reason"]) == ("confident", "confident")
    assert record["answer"] == why["vote"] == "18"
    assert why["vote_agrees"] is True
    assert (why["question_p"], why["at_most"]) == (None, 40)
    assert why["finished"] <= why["started"] < 40
    assert why["fixed_tokens"] > record["usage"]["generated_tokens"]
    assert f"stopped after {why['finished']} of 40 solutions: " in done.stderr


def test_so_many_solutions_run_side_by_side_as_were_asked_for(ask, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ask("What is 9 * 2?", "-o", "width", "3", "--trace", str(tmp_path / "t.jsonl"))
    events = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    begun = [at for at, event in enumerate(events) if event["kind"] == "branch_started"]
    ended = [at for at, event in enumerate(events) if event["kind"] == "step_proposed" and event["ended"]]
    running = [sum(each <= at for each in begun) - sum(each < at for each in ended) for at in begun]
    assert events[0]["width"] == max(running) == 3


def test_continue_goes_on_from_the_last_question_and_its_reply(ask, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    state, first = {"XDG_STATE_HOME": str(tmp_path)}, "What is 9 * 2?"
    said = json.loads(ask(first, "--json", more=state).stdout)["solution"]
    ask("-c", "and times two?", more=state)
    ask("--continue", "Thanks!", more=state)
    begins = [
        json.loads(path.read_text().splitlines()[0])
        for path in sorted((tmp_path / "adascale" / "runs").iterdir())
    ]

    third = begins[-1]["problem"]["history"]
    assert [turn["role"] for turn in third] == ["user", "assistant"] * 2
    assert [third[0]["content"], third[1]["content"], third[2]["content"]] == [first, said, "and times two?"]
