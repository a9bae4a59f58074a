import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from commands import invoked
from sample_log import pens, written

from adascale.cli.disk import runs
from adascale.cli.disk.runs import drop_old, last_finished, open_run, past_runs, runs_dir, trace_path
from adascale.cli.disk.traces import TraceFolder, read_record, read_trace
from adascale.engine.errors import DiskFullError, TraceError, UsageError
from adascale.engine.search.events import SearchFailed, SearchStarted
from adascale.engine.types import Notice, Problem


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def keep(name: str, *, ended: bool = True) -> Path:
    """A run by hand."""
    log = pens(running=not ended)
    if ended:
        log.end()
    runs_dir().mkdir(parents=True, exist_ok=True)
    return written(runs_dir() / f"{name}.jsonl", log.events)


def test_runs_are_listed_newest_first() -> None:
    keep("20260101-120000-aaaa")
    keep("20260102-120000-bbbb", ended=False)

    lines = invoked("runs")[0].splitlines()

    assert [line.split()[0] for line in lines] == ["RUN", "20260102-120000-bbbb", "20260101-120000-aaaa"]
    assert "(unfinished)" in lines[1]
    assert "27  93 %" in lines[2]
    assert "3 pens cost $2." in lines[2]
    _, found = map(json.loads, invoked("runs", "list", "--json")[0].splitlines())
    assert (found["run"], found["answer"], found["confidence"]["p"]) == ("20260101-120000-aaaa", "27", 0.93)
    assert (found["stop_reason"], found["usage"]["generated_tokens"]) == ("exhausted", 237)
    assert len(invoked("runs", "--limit", "1")[0].splitlines()) == 2


def test_what_is_no_trace_is_listed_as_such() -> None:
    with open_run():
        assert runs_dir().stat().st_mode & 0o077 == 0
    log = pens(running=True)
    log.add(SearchFailed, notice=Notice("worker-died", "the process ended"), error_type="WorkerDiedError")
    written(runs_dir() / "20260101-120000-aaaa.jsonl", log.events)
    (runs_dir() / "20260101-120000-dddd.jsonl").write_text('{"kind": []}')

    listed = invoked("runs", "list")[0]
    assert "(unreadable)" in listed
    assert "(failed)" in listed
    found = [json.loads(line) for line in invoked("runs", "list", "--json")[0].splitlines()]
    assert "worker-died" in [each["error"]["code"] for each in found if "error" in each]


def test_a_run_that_cannot_be_kept_stops_no_question(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "state").write_text("a file where the folder should be")
    with open_run() as writer:
        assert writer is None
    (state / "state").unlink()

    def full(path: Path) -> None:
        raise DiskFullError(f"cannot write {path}: no space left on device")

    monkeypatch.setattr(runs, "TraceWriter", full)
    with open_run() as writer:
        assert writer is None


def test_a_code_task_is_no_conversation_to_continue() -> None:
    keep("20260101-120000-aaaa", ended=False)
    with pytest.raises(TraceError, match="has an answer yet"):
        last_finished()
    answered, code = keep("20260102-120000-bbbb"), keep("20260103-120000-cccc")
    begin, *events = read_trace(code)
    assert isinstance(begin, SearchStarted)
    written(code, [replace(begin, problem=replace(begin.problem, kind="code")), *events])
    assert (last_finished(), trace_path(None)) == (read_record(answered), code)


def test_a_damaged_run_is_passed_over_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    whole, damaged = keep("20260102-120000-bbbb"), keep("20260103-120000-cccc")
    first, second, *others = damaged.read_bytes().splitlines(keepends=True)
    damaged.write_bytes(b"".join([first, second[:20] + b"\n", *others]))
    assert last_finished() == read_record(whole)
    assert f"{damaged} line 2: " in capsys.readouterr().err


def test_a_full_disk_is_told_once_for_a_folder_of_traces(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    log = pens()
    log.end()
    events = [(Problem(name, "?"), event) for name in "abc" for event in log.events]
    assert list(TraceFolder(state).keep(events)) == events
    assert not list(state.iterdir())
    assert capsys.readouterr().err.count("warning[") == 1


def test_a_folder_of_traces_replaces_what_is_empty_and_nothing_else(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "a.jsonl").touch()  # of a run that was killed as it began to write
    (state / "b.jsonl").write_text("mine")
    log = pens()
    log.end()
    list(TraceFolder(state).keep((Problem(name, "?"), event) for name in "ab" for event in log.events))
    assert read_trace(state / "a.jsonl") == log.events
    assert (state / "b.jsonl").read_text() == "mine"
    assert "b has no trace" in capsys.readouterr().err


def test_names_that_say_nothing() -> None:
    with pytest.raises(TraceError, match="no run is kept yet"):
        invoked("replay")
    keep("20260101-120000-aaaa")
    keep("20260101-120001-bbbb")
    with pytest.raises(TraceError, match="2 runs begin with 2026") as caught:
        invoked("replay", "2026")
    assert "20260101-120001-bbbb" in caught.value.hint
    for name in ("nothing" * 1000, "/dev/null"):
        with pytest.raises(TraceError, match="neither a file nor a kept run"):
            invoked("replay", name)


def test_runs_are_deleted_by_name_or_all(tmp_path: Path) -> None:
    for name in ("20260101-a", "20260102-b", "20260103-c"):
        keep(name)

    assert invoked("runs", "rm", "20260102", "20260102-b")[1] == "removed 1\n"
    assert [path.stem for path in past_runs()] == ["20260103-c", "20260101-a"]

    mine = written(tmp_path / "mine.jsonl", pens().events)
    for said, wrong in (
        ("no run is named", ["rm"]),
        ("not both", ["rm", "--all", "20260101"]),
        ("mine.jsonl is not a kept run", ["rm", "20260101", str(mine)]),
    ):
        with pytest.raises(UsageError, match=said):
            invoked("runs", *wrong)
    assert mine.exists()
    assert len(past_runs()) == 2

    invoked("runs", "rm", "--all")
    assert past_runs() == []
    assert "no run is kept yet" in invoked("runs", "list")[1]
    assert invoked("runs", "list", "--json") == ("", "")


def test_a_run_is_deleted_by_the_name_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = keep("20260101-a")
    monkeypatch.chdir(runs_dir())
    invoked("runs", "rm", kept.name)
    assert past_runs() == []


@pytest.mark.parametrize(("most", "most_bytes", "left"), [(3, 10**9, 3), (100, 1, 1)])
def test_old_runs_go(most: int, most_bytes: int, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MAX_RUNS", most)
    monkeypatch.setattr(runs, "MAX_BYTES", most_bytes)
    names = [f"2026010{at}-a" for at in range(5)]
    for name in names:
        keep(name)

    drop_old()

    assert [path.stem for path in past_runs()] == names[::-1][:left]


def test_without_a_name_a_search_that_is_under_way_is_passed_over() -> None:
    path = keep("20260101-120000-aaaa")
    running = keep("20260102-120000-bbbb")
    lines = running.read_text().splitlines()
    running.write_text("\n".join(lines[:-1]) + "\n")
    assert trace_path(None) == path
    assert trace_path("20260102") == running
    path.unlink()
    assert trace_path(None) == running
