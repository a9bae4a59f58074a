"""``adascale export``: every source, every refusal, and what is left behind."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sampled
import worlds
from commands import invoked

from adascale.cli.disk.runs import runs_dir
from adascale.engine.errors import AdascaleError
from adascale.models.calibration.rollouts import RolloutStore
from adascale.models.storage import data_folder


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of its own, and a working folder to write into."""
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def rows(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def keep_rollouts() -> Path:
    """As ``calibrate fit`` keeps them."""
    path = data_folder() / "rollouts" / "x.jsonl"
    problems = worlds.problems(30)
    logs = worlds.drawn(problems, programs=2)
    with closing(RolloutStore(path)) as store:
        for problem in problems:
            store.put(problem, logs[problem.id])
    return path


def test_kept_runs_are_read_unless_something_else_is_named() -> None:
    runs_dir().mkdir(parents=True)
    shutil.copy(sampled.PROSE_SEARCH, runs_dir() / "20260101-000000-aaaa.jsonl")
    (runs_dir() / "20260102-000000-bbbb.jsonl").write_text("torn")
    out, said = invoked("export", "--to", "trl-prm")
    assert [row["model"] for row in rows(out)] == ["qwen2.5-coder-1.5b"] * 4
    assert "wrote 4 rows" in said
    assert "left out: 1 kept runs that cannot be read" in said


def test_all_sources_go_into_one_file() -> None:
    (path := keep_rollouts()).rename(path.with_name("run#1?%41.jsonl"))  # a name may have any character
    Path("traces").mkdir()
    for name in "ab":
        shutil.copy(sampled.PROSE_SEARCH, f"traces/{name}.jsonl")
    invoked("export", "--to", "trl-prm", "--from", "traces", "--from", "rollouts", "--output", "x.jsonl")
    models = [row["model"] for row in rows(Path("x.jsonl").read_text())]
    assert (models.count("qwen2.5-coder-1.5b"), models.count("tiny")) == (8, len(models) - 8)
    assert len(models) > 8


def refused(*args: str) -> AdascaleError:
    """The error of a command that writes nothing."""
    before = {path: path.read_bytes() for path in Path.cwd().glob("*.jsonl")}
    with pytest.raises(AdascaleError) as error:
        invoked("export", *args)
    assert {path: path.read_bytes() for path in Path.cwd().glob("*.jsonl")} == before
    return error.value


@pytest.mark.parametrize(
    ("args", "slug"),
    [
        (("--from", "mine.jsonl", "--output", "mine.jsonl", "--overwrite"), "output-is-input"),
        (("--from", "missing.jsonl"), "no-source"),
        (("--from", "rollouts"), "no-source"),
        (("--from", "mine.jsonl"), "bad-trace"),
        (("--from", "nested"), "bad-trace"),
        (("--from", "songs.jsonl"), "bad-store"),
    ],
)
def test_what_cannot_be_exported_is_refused(args: tuple[str, ...], slug: str) -> None:
    Path("mine.jsonl").write_text("mine")
    Path("nested/no_file.jsonl").mkdir(parents=True)
    Path("songs.jsonl").write_text('{"table": "rollouts", "key": "a song", "value": 1}\n')
    assert refused("--to", "trl-preference", *args).slug == slug
