"""``adascale batch``: what is asked, what is written, and how it goes on."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import tiny
import typer
from commands import Home, invoked

from adascale.cli.commands import batch as command
from adascale.cli.report import FIELDS
from adascale.engine.errors import UsageError

LINES = "\n".join(json.dumps({"id": n, "question": f"What is {n} + 2?", "answer": n + 2}) for n in range(6))


@pytest.fixture(scope="module")
def home(chain_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    return Home(folder, chain_gguf, folder / "in.jsonl")


@pytest.fixture
def batch(home: Home, tmp_path: Path) -> Any:
    def call(text: str, *args: str, name: str = "in.jsonl") -> Any:
        source, out = tmp_path / name, tmp_path / "out.jsonl"
        source.write_text(text)
        done = home.run(
            "batch", str(source), "--output", str(out), "-m", str(home.model), "-o", "samples", "2", *args
        )
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        done.records = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
        return done

    return call


def ids(done: Any) -> list[str]:
    return sorted(record["id"] for record in done.records)


def test_the_same_command_goes_on_where_it_was_cut_off(batch: Any) -> None:
    first = batch(LINES, "--limit", "2", "-o", "width", "2")
    assert (first.returncode, ids(first)) == (0, ["0", "1"]), first.stderr
    second = batch(LINES, "-o", "width", "2")  # with the seed of the earlier records
    assert (second.returncode, ids(second)) == (0, list("012345")), second.stderr
    assert second.records[:2] == first.records
    assert len({record["search"]["seed"] for record in second.records}) == 1
    assert [record["search"]["schedule"] for record in second.records] == [[2, 2]] * 6
    assert "2 there already" in second.stderr
    assert "Loading" not in batch(LINES, "-o", "width", "2").stderr


def test_no_field_of_a_question_takes_the_name_of_one_of_ours(batch: Any) -> None:
    mine = {
        "id": "a",
        "question": "What is twice 1?",
        "line": "x",
        "error": 5,
        "expected": 6,
        "usage": 7,
        "topic": "sums",
    }
    [record] = batch(json.dumps(mine), "--seed", "1").records
    assert (record["line"], record["topic"], record["status"]) == (1, "sums", "answered")
    assert not {"error", "expected"} & record.keys()
    assert record["usage"]["generated_tokens"] > 1
    assert record.keys() - {"topic"} <= FIELDS


def test_ctrl_c_ends_a_run_that_waits_for_its_pipe(home: Home) -> None:
    with home.piping("batch", "-m", str(home.model), "-o", "samples", "2") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("One?\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["question"] == "One?"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130


def test_a_few_failures_are_told_each_and_the_summary_counts_them_all(batch: Any) -> None:
    assert "holds no question" in batch("\n \n").stderr
    done = batch('{"id": 1\n' * 7, "--seed", "1")
    assert (done.returncode, done.stderr.count("warning[bad-line]")) == (6, 5)
    assert "  bad-line: 7\n" in done.stderr


def test_what_no_strategy_can_be_is_refused_before_models_are_opened(tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text(
        json.dumps({"question": "Square n.", "tests": ["assert f(2) == 4"]})
    )
    with pytest.raises(UsageError, match="has no `adapt`"):
        invoked("batch", str(tmp_path / "tasks.jsonl"), "-m", "no/such.gguf", "-o", "adapt", "km")


def test_traces_are_kept_by_id_and_can_be_replayed(batch: Any, home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "traces" / "of this"
    text = '{"id": "a", "question": "One?"}\n{"id": "../b c", "question": "Two?"}\n'
    done = batch(text, "--traces", str(folder), "--seed", "1")
    first, second = sorted(folder.iterdir())
    assert (second.name, first.name[:7]) == ("a.jsonl", "___b_c-")
    answer = next(record["answer"] for record in done.records if record["id"] == "a")
    assert home.run("replay", str(second)).stdout == f"{answer}\n"


def test_a_model_is_never_written_over(home: Home, tmp_path: Path) -> None:
    folder = Path(home.env["HOME"]) / ".lmstudio/models/some/one"
    folder.mkdir(parents=True, exist_ok=True)
    source, out = tmp_path / "my in.jsonl", folder / "copy.gguf"
    source.write_text(LINES)
    out.write_bytes(home.model.read_bytes())
    before, there = out.read_bytes(), sorted(folder.iterdir())
    done = home.run("batch", str(source), "--overwrite", "--output", str(out), "-m", "lmstudio:some/one")
    assert done.returncode == 2
    assert f"error[output-is-input]: the output {out} is the input {out}: " in done.stderr
    assert "hint: --output another-name.jsonl\n" in done.stderr
    assert (out.read_bytes(), sorted(folder.iterdir())) == (before, there)


@pytest.mark.parametrize(
    ("output", "hint"), [("-", "--output FILE"), ("a.jsonl", "the same command without --overwrite")]
)
def test_what_continues_a_run_does_not_throw_away_what_is_done(
    output: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        command._finish(command.Tally(done=4, interrupted=True), output, overwrite=True, quiet=False)
    assert f"adascale: stopped; {hint}" in capsys.readouterr().err


def test_a_record_with_tests_is_a_code_task(home: Home, tmp_path: Path) -> None:
    coder, source = tiny.write_chain(tmp_path / "coder.gguf", tiny.CODER), tmp_path / "tasks.jsonl"
    tasks: list[dict[str, Any]] = [
        {"id": "square", "question": "Square n.", "tests": ["assert f(5) == 25"], "hidden": "assert f(7)"},
        {"id": "broken", "question": "Square n.", "tests": ["assert f(5"]},
        {"id": "prose", "question": "What is 5 squared?"},
    ]
    source.write_text("\n".join(map(json.dumps, tasks)))
    done = home.run("batch", str(source), "-m", str(coder), "--seed", "1", "--effort", "high")
    assert (done.returncode, "line 2: a source in the field" in done.stderr) == (6, True), done.stderr
    records = {record["id"]: record for record in map(json.loads, done.stdout.splitlines())}
    square = records["square"]
    assert (square["status"], square["answer"]) == ("answered", "def f(n):\n    return n * n")
    assert [test["outcome"] for test in square["tests"]] == ["passed"]
    assert "hidden" not in square
    assert records["prose"]["search"]["strategy"] == "adaptive"
