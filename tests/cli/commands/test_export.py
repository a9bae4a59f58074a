"""``adascale export``: every source, every refusal, and what is left behind."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import looks
import pytest
import sampled
import typer
import worlds
from commands import invoked
from traces import written

from adascale.cli.commands.export import export
from adascale.cli.disk.history import runs_dir
from adascale.cli.terminal.console import as_typed
from adascale.engine.errors import AdascaleError, UsageError
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.draws.store import DrawStore
from adascale.models.storage import data_folder

app = typer.Typer()
app.command()(export)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of its own, and a working folder to write into."""
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def rows(path: str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def card(path: str) -> Any:
    return json.loads(Path(f"{path}.card.json").read_text())


def keep_rollouts() -> Path:
    """As ``calibrate fit`` keeps them."""
    path = data_folder() / "rollouts" / "x.sqlite"
    with closing(RolloutStore(path)) as store:
        store.put_models(sampled.MODELS)
        for record in worlds.searched(worlds.problems(30), programs=2).values():
            for mode in ("prose", "program"):
                store.put(Rollouts.of(record, mode))
    return path


def test_kept_runs_are_read_unless_something_else_is_named() -> None:
    runs_dir().mkdir(parents=True)
    shutil.copy(sampled.PROSE_SEARCH, runs_dir() / "20260101-000000-aaaa.jsonl")
    (runs_dir() / "20260102-000000-bbbb.jsonl").write_text("torn")
    _, said = invoked(app, "--to", "trl-prm", "-o", "x.jsonl")
    assert "wrote x.jsonl: 4 rows" in said
    assert len(rows("x.jsonl")) == 4
    assert card("x.jsonl")["left_out"] == {"kept runs that cannot be read": 1}


def test_the_card_says_where_rows_come_from() -> None:
    invoked(app, "--to", "sft", "--from", str(sampled.PROSE_SEARCH), "-o", "x.jsonl", "--licence", "MIT")
    told = card("x.jsonl")
    assert told["sha256"] == hashlib.sha256(Path("x.jsonl").read_bytes()).hexdigest()
    assert told["generators"][0]["licence"] == "Apache-2.0"
    assert told["questions_licence"] == "MIT"
    assert told["rows"] == {"train": 1}
    assert told["calibrations"][0]["name"] == "qwen2.5-coder-1.5b+probe"


def test_a_folder_of_a_batch_is_read_trace_by_trace() -> None:
    Path("traces").mkdir()
    for name in "ab":
        shutil.copy(sampled.PROSE_SEARCH, f"traces/{name}.jsonl")
    invoked(app, "--to", "soft-steps", "--from", "traces", "-o", "x.jsonl")
    assert card("x.jsonl")["questions"] == 2
    assert card("x.jsonl")["sources"] == {"trace": 2}


def test_a_search_that_only_read_its_options_did_not_fail() -> None:
    written(Path("t.jsonl"), looks.search(looks.PLANETS, 0.99)[1])
    told = json.loads(invoked(app, "--to", "sft", "--from", "t.jsonl", "--dry-run")[0])
    assert told["left_out"] == {"searches without a step": 1}


def test_rollouts_are_split_by_question() -> None:
    keep_rollouts()
    invoked(app, "--to", "soft-steps", "--from", "rollouts", "--split", ".5", "-o", "x.jsonl")
    train, test = rows("x-train.jsonl"), rows("x-test.jsonl")
    assert train
    assert test
    assert not {row["question"] for row in train} & {row["question"] for row in test}
    assert len(train) == card("x-test.jsonl")["rows"]["train"]
    assert not Path("x.jsonl").exists()


def test_filters_and_labels_are_those_that_were_typed() -> None:
    keep_rollouts()
    labels = ["--min-gap", ".2", "--pairs", "solutions"]
    numbers = ["--min-count", "2", "--max-tokens", "300", "--mode", "program"]
    facts = ["--calibrated", "--in-domain", "--known-answers", "--ran"]
    source = ["--to", "trl-preference", "--from", "rollouts", "--dry-run"]
    told = json.loads(invoked(app, *source, *labels, *numbers, *facts)[0])
    assert told["labelling"] == {"threshold": 0.5, "min_gap": 0.2, "pairs": "solutions"}
    named = {"calibrated": True, "in_domain": True, "known_answers": True, "ran": True}
    assert told["filters"] == {**named, "min_count": 2, "max_tokens": 300, "mode": "program"}


def test_the_same_command_writes_the_same_bytes() -> None:
    keep_rollouts()
    args = ["--to", "trl-preference", "--from", "rollouts", "--split", ".7", "--seed", "3"]
    invoked(app, *args, "-o", "a.jsonl")
    invoked(app, *args, "-o", "b.jsonl")
    for split in ("train", "test"):
        assert Path(f"a-{split}.jsonl").read_bytes() == Path(f"b-{split}.jsonl").read_bytes()


def test_a_dry_run_writes_nothing_and_says_everything() -> None:
    out, _ = invoked(
        app, "--to", "trl-prm", "--from", str(sampled.PROSE_SEARCH), "--max-tokens", "100", "--dry-run"
    )
    told = json.loads(out)
    assert told["example"]["prompt"].startswith("A baker")
    assert told["left_out"]["steps beyond 100 tokens"] > 0
    assert not list(Path.cwd().iterdir())


def here() -> dict[Path, bytes]:
    """All files but those that SQLite keeps beside an open store."""
    files = (path for path in Path.cwd().rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if not path.name.endswith(("-shm", "-wal"))}


def refused(*args: str) -> AdascaleError:
    before = here()
    with pytest.raises(AdascaleError) as error:
        invoked(app, *args)
    assert here() == before, "something was written"
    return error.value


SEARCH = ("--from", str(sampled.PROSE_SEARCH))


@pytest.mark.parametrize("name", ["runs", "rollouts", "draws"])
def test_nothing_kept(name: str) -> None:
    error = refused("--to", "sft", "--from", name, "-o", "x.jsonl")
    assert error.message == f"no {name} are kept yet"
    assert error.hint.startswith("adascale ")


@pytest.mark.parametrize(
    ("args", "slug"),
    [
        (("--to", "sft", *SEARCH), "usage"),
        (("--to", "sft", *SEARCH, "-o", "x.csv"), "usage"),
        (("--to", "sft", *SEARCH, "-o", "no/x.jsonl"), "unwritable"),
        (("--to", "sft", "--from", "missing.jsonl", "-o", "x.jsonl"), "no-source"),
        (("--to", "sft", "--from", ".", "-o", "x.jsonl"), "no-source"),
        (("--to", "grpo", *SEARCH, "-o", "x.jsonl"), "empty-dataset"),
        (("--to", "sft", *SEARCH, "-o", "x.jsonl", "--threshold", "1.2"), "usage"),
        (("--to", "sft", *SEARCH, "-o", "x.jsonl", "--threshold", "-.1"), "usage"),
        (("--to", "sft", *SEARCH, "-o", "x.jsonl", "--min-gap", "0"), "usage"),
        (("--to", "sft", *SEARCH, "-o", "x.jsonl", "--min-gap", "1.1"), "usage"),
        (("--to", "sft", *SEARCH, "-o", "x.jsonl", "--split", "0"), "usage"),
        (("--to", "sft", *SEARCH, "-o", "x.jsonl", "--split", "1.1"), "usage"),
    ],
)
def test_what_cannot_be_exported_is_refused(args: tuple[str, ...], slug: str) -> None:
    error = refused(*args)
    assert isinstance(error, UsageError)
    assert error.slug == slug
    assert error.hint


@pytest.mark.parametrize("there", ["x.jsonl", "x.jsonl.card.json"])
def test_a_file_that_exists_is_kept_unless_the_user_says_so(there: str) -> None:
    Path(there).write_text("mine")
    assert refused("--to", "sft", *SEARCH, "-o", "x.jsonl").slug == "output-exists"
    invoked(app, "--to", "sft", *SEARCH, "-o", "x.jsonl", "--overwrite")
    assert len(rows("x.jsonl")) == 1


def test_a_card_that_cannot_be_written_is_named_before_anything_is_written() -> None:
    Path("x.jsonl.card.json").mkdir()
    error = refused("--to", "sft", *SEARCH, "-o", "x.jsonl", "--overwrite")
    assert "cannot write x.jsonl.card.json" in error.message
    assert not Path("x.jsonl").exists()


def test_an_output_that_is_read_is_refused() -> None:
    shutil.copy(sampled.PROSE_SEARCH, "x.jsonl")
    args = ("--to", "sft", "--from", "x.jsonl", "-o", "x.jsonl", "--overwrite")
    assert refused(*args).slug == "output-is-input"


def test_several_generators_are_mixed_only_on_purpose() -> None:
    path = keep_rollouts().rename("run#1?%41.sqlite")  # a name may have any character
    args = ("--to", "sft", *SEARCH, "--from", str(path), "-o", "x.jsonl")
    error = refused(*args)
    assert error.slug == "mixed-generators"
    assert error.facts == ("qwen2.5-coder-1.5b", "tiny")
    invoked(app, *args, "--mixed")
    assert len(card("x.jsonl")["generators"]) == 2


def test_a_store_that_is_torn_is_refused() -> None:
    torn = keep_rollouts().read_bytes()[:5000]
    Path("x.sqlite").write_bytes(torn)
    assert refused("--to", "sft", "--from", "x.sqlite", "-o", "x.jsonl").slug == "unreadable"


def test_a_database_of_something_else_is_refused() -> None:
    with closing(sqlite3.connect("x.sqlite")) as db:
        db.execute("CREATE TABLE songs (name TEXT)")
    assert refused("--to", "sft", "--from", "x.sqlite", "-o", "x.jsonl").slug == "no-source"


@pytest.mark.parametrize(
    ("to", "option", "fact"),
    [
        ("sft", ["--min-gap", ".2"], "it is for trl-preference"),
        ("grpo", ["--threshold", ".9"], "it is for trl-prm or sft"),
        ("trl-prm", ["--pairs", "solutions"], "it is for trl-preference"),
    ],
)
def test_a_label_that_a_format_does_not_have_is_refused(to: str, option: list[str], fact: str) -> None:
    error = refused("--to", to, *SEARCH, *option, "--dry-run")
    assert (error.facts, as_typed(error.hint)) == ((fact,), f"leave out {option[0]}")


def test_questions_are_refused_where_no_draws_are_read() -> None:
    Path("q.jsonl").write_text('{"question": "What is 2 + 2?", "answer": "4"}')
    assert refused("--to", "sft", *SEARCH, "-d", "q.jsonl", "--dry-run").hint == "--from draws"


@pytest.mark.parametrize("name", ["my data.txt", "my data.jsonl"])
def test_the_hint_of_an_output_can_be_pasted(name: str) -> None:
    Path("my files").mkdir()
    path = Path(shutil.copy(sampled.PROSE_SEARCH, f"my files/{name}"))
    error = refused("--to", "sft", "--from", str(path), "-o", str(path))
    flag, output = shlex.split(error.hint)
    assert (flag, Path(output).parent, Path(output).suffix) == ("-o", path.parent, ".jsonl")
    invoked(app, "--to", "sft", "--from", str(path), flag, output)


def test_draws_need_their_questions() -> None:
    (data_folder() / "draws").mkdir(parents=True)
    DrawStore(data_folder() / "draws" / "x.sqlite").close()
    assert refused("--to", "sft", "--from", "draws", "-o", "x.jsonl").slug == "no-questions"


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    error = refused("--to", "verl", *SEARCH, "-o", "x.parquet")
    assert re.search(r"-m pip install .*pyarrow", error.hint)
