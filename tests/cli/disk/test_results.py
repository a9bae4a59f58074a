"""The output of a batch: records are kept, a torn one is cut off, other files are left alone."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adascale.cli.disk.results import open_results, run_conditions, write_table
from adascale.engine.errors import DiskFullError, UsageError
from adascale.engine.types import Problem


def record(id_: str, status: str = "answered", **more: Any) -> dict[str, Any]:
    return {"schema": "adascale.answer/1", "id": id_, "status": status, **more}


def made(seed: int) -> dict[str, Any]:
    return {
        "version": "1",
        "kind": "value",
        "model": {"sha256": "abc", "n_ctx": 512},
        "prm": None,
        "calibration": None,
        "budget": {"tokens": None, "time_s": None},
        "sampling": {"temperature": 0.8},
        "min_confidence": 0.0,
        "search": {"strategy": "vote", "samples": 4, "seed": seed},
    }


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def write(path: Path, *records: dict[str, Any]) -> None:
    with open_results(str(path)) as results:
        results.begin()
        for each in records:
            results.write(each)


def test_a_record_is_on_disk_at_once_and_is_known_to_the_next_run(path: Path) -> None:
    with open_results(str(path)) as results:
        assert not path.exists()
        results.begin()
        results.write(record("a", text="é\u2028\n"))
        assert ids(path) == ["a"]
    with open_results(str(path)) as results:
        assert results.kinds == {"a": None}


def named(id_: str) -> Problem:
    return Problem(id_, "?")


def test_a_question_that_was_asked_as_another_kind_is_of_another_run(path: Path) -> None:
    write(path, record("a", kind="value"), record("b", "error", kind="value"))
    with open_results(str(path)) as results:
        assert results.has(named("a"))
        assert not results.has(replace(named("b"), kind="choice"))
        with pytest.raises(UsageError) as caught:
            results.has(replace(named("a"), kind="choice"))
    assert caught.value.facts == ("kind of a: value there, choice now",)


def test_what_failed_is_asked_again_and_makes_way_for_the_new_record(path: Path) -> None:
    write(path, record("a"), record("b", "error"), record("c", "no_answer"), record("d", "interrupted"))
    with path.open("a") as file:
        file.write('{"line": 1, "torn')
    before = path.read_bytes()
    with open_results(str(path)) as results:
        assert [results.has(named(id_)) for id_ in "abcde"] == [True, False, True, False, False]
        assert path.read_bytes() == before
        results.begin()
        results.write(record("b"))
    assert ids(path) == ["a", "c", "b"]


def test_stdout_has_every_letter_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", stdout)
    asked = record("π", question="Сколько\x7f\x9b\u2028?")
    with open_results("-") as results:
        results.begin()
        results.write(asked)
    lines = stdout.buffer.getvalue().decode("cp1252").splitlines()
    assert [json.loads(line) for line in lines] == [asked]


def test_two_names_of_a_file_have_one_lock_and_the_link_stays(path: Path) -> None:
    link = path.with_name("link.jsonl")
    link.symlink_to(path)  # what it leads to need not be there yet
    for first, second in ((path, link), (link, path)):
        with open_results(str(first)) as results:
            results.begin()
            with pytest.raises(UsageError, match="another run") as error, open_results(str(second)):
                pass
        assert "another --output" in error.value.hint
    write(link, record("a"), record("b", "error"))
    write(link, record("b"))  # the failed one is taken out, which makes the file anew
    assert link.is_symlink()
    assert ids(path) == ids(link) == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        *("hello", "hello\n", '[1]\n{"a": 1}\n', "\n", "[" * 100_000, "NaN\n"),
        '{"schema": "adascale.answer/1", "id": "a", "status": "answered", "search": {}}\n',
    ],
)
def test_what_is_no_output_of_a_batch_is_left_alone(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(UsageError, match="no output of adascale batch"):
        write(path, record("a"))
    assert path.read_text() == text
    with open_results(str(path), overwrite=True) as results:
        results.begin()
        results.write(record("a"))
    assert ids(path) == ["a"]


def test_a_device_or_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for output in (tmp_path / "pipe", Path(os.devnull)):
        before = sorted(output.parent.iterdir())
        with pytest.raises(UsageError, match="it is no file") as error:
            write(output, record("a"))
        assert error.value.hint.endswith(f"> {output}")
        assert sorted(output.parent.iterdir()) == before


def test_another_run_is_told_apart_and_what_differs_is_named(path: Path) -> None:
    write(path, record("x", "error"), record("a", **made(1)))
    before = path.read_bytes() + b'{"line": 3, "torn'
    path.write_bytes(before)
    with open_results(str(path)) as results, pytest.raises(UsageError, match="another run") as error:
        results.begin({"value": run_conditions(made(2))})
    assert error.value.facts == ("search.seed: 1 there, 2 now",)
    assert run_conditions(made(1) | {"model": {"name": "qwen3:4b"}}) != run_conditions(made(1))
    assert path.read_bytes() == before
    with open_results(str(path)) as results:
        results.begin({"value": run_conditions(made(1))})
    assert ids(path) == ["a"]


def test_each_kind_has_conditions_of_its_own(path: Path) -> None:
    code = made(1) | {"kind": "code", "search": {"strategy": "passing", "seed": 1}}
    write(path, record("task", **code), record("question", **made(1)))
    with open_results(str(path)) as results:
        assert results.seed == 1
        with pytest.raises(UsageError, match="made by another run"):
            results.begin({"value": run_conditions(made(1)), "code": run_conditions(code | {"version": "2"})})
        results.begin({"value": run_conditions(made(1)), "code": run_conditions(code)})


def test_a_full_disk_leaves_whole_records(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(path, record("a"))
    with open_results(str(path)) as results:
        results.begin()
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(DiskFullError, match="no space left") as error:
            results.write(record("b"))
        monkeypatch.undo()
    assert "run the same command again" in error.value.hint
    assert ids(path) == ["a"]
    write(path, record("b"))
    assert ids(path) == ["a", "b"]


def test_no_lock_stays_behind(path: Path) -> None:
    write(path, record("a"))
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ZeroDivisionError), open_results(str(path.with_name("never.jsonl"))):
        raise ZeroDivisionError
    assert list(path.parent.iterdir()) == [path]


def test_a_table_has_the_fields_of_the_user_and_the_answer(path: Path, tmp_path: Path) -> None:
    more = {"question": "2, or 3?", "answer": "2", "confidence": {"p": 0.9, "band": "very likely"}}
    write(path, {"line": 1, "mine": "x\ny", **record("a", **more)}, record("b", status="error"))
    write_table(path, tmp_path / "out.csv")
    first, second = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(), newline=""))
    assert first == {"id": "a", "question": "2, or 3?", "mine": "x\ny", "status": "answered", "answer": "2",
                     "probability": "0.9", "band": "very likely"}  # fmt: skip
    assert (second["id"], second["status"], second["answer"]) == ("b", "error", "")
