"""Files of lines that survive a kill: what was written is there, for another process too."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from adascale.engine.errors import AdascaleError, DiskFullError, UsageError
from adascale.models.lines import KeyedLines, LineWriter, read_lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "x.jsonl"


@pytest.fixture
def store(path: Path) -> Iterator[KeyedLines]:
    with closing(KeyedLines(path)) as opened:
        yield opened


def everything(store: KeyedLines) -> list[object]:
    """Values and arrays of the first table."""
    keys = [key for key in "abc" if store.has("one", key)]
    return [store.read("one", key, lambda value, arrays: (value, arrays["x"].tolist())) for key in keys]


@pytest.mark.skipif(sys.platform == "win32", reason="no permissions")
@pytest.mark.usefixtures("store")
def test_only_its_owner_can_read_a_store(path: Path) -> None:
    modes = {each.stat().st_mode & 0o777 for each in path.parent.iterdir() if each.suffix != ".lock"}
    assert modes == {0o600}


def test_the_later_of_two_records_counts_now_and_in_the_next_run(store: KeyedLines, path: Path) -> None:
    for number, key in enumerate("aba"):
        store.keep("one", key, {"né": number}, {"x": np.array([number, 0.5], np.float16)})
    found = [({"né": 2}, [2, 0.5]), ({"né": 1}, [1, 0.5])]
    assert everything(store) == found
    assert list(store.values("one")) == [{"né": 2}, {"né": 1}]
    assert not store.has("two", "a")
    store.close()
    with closing(KeyedLines(path)) as again:
        assert everything(again) == found


def test_a_kill_at_any_byte_takes_the_last_record_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with closing(KeyedLines(path)) as store:
        store.keep("one", "a", 1, {"x": np.zeros(3)})
        whole, arrays = path.stat().st_size, path.with_suffix(".npy").stat().st_size
        store.keep("one", "b", 2, {"x": np.ones(3)})
    before = path.read_bytes(), path.with_suffix(".npy").read_bytes()
    for kept in (1, whole - 1, whole, whole + 1, len(before[0]) - 2):
        path.write_bytes(before[0][:kept])
        path.with_suffix(".npy").write_bytes(before[1][: arrays + 7])
        expected = [(1, [0, 0, 0])] if kept >= whole - 1 else []
        with closing(KeyedLines(path, read_only=True)) as store:
            assert everything(store) == expected
        with closing(KeyedLines(path)) as store:
            store.keep("one", "c", 3, {"x": np.full(3, 7)})
        with closing(KeyedLines(path)) as store:
            assert everything(store) == [*expected, (3, [7, 7, 7])]


@pytest.mark.parametrize(
    "text", ["hello, this is no store", "hello\n", '{"table": "one"}\n', "[1]\n", "[" * 100_000]
)
def test_another_file_is_named_with_a_way_out_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(AdascaleError) as raised:
        KeyedLines(path)
    assert (raised.value.slug, raised.value.message) == ("bad-store", f"{path} is damaged")
    assert raised.value.hint == "move it away; the same command then draws its contents again"
    assert path.read_text() == text


def test_python_objects_are_refused(store: KeyedLines) -> None:
    with pytest.raises(ValueError, match="pickle"):
        store.keep("one", "a", 1, {"x": np.array([{"a": 1}], object)})


def test_what_is_no_file_or_is_held_by_another_run_is_said(store: KeyedLines, path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot use .*: (is a directory|permission denied)"):
        KeyedLines(path.parent)
    with pytest.raises(UsageError, match="is being written by another run") as raised:
        KeyedLines(path)
    assert raised.value.slug == "locked"
    store.close()
    KeyedLines(path).close()


def test_a_full_disk_is_said_and_what_is_there_stays(
    store: KeyedLines, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        """A file on a disk with room for five more bytes."""

        def __init__(self, writer: LineWriter) -> None:
            self._file, self._room = writer._file, 5

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

        def write(self, data: bytes) -> int:
            if not self._room:
                raise OSError(errno.ENOSPC, "no space left")
            self._room = 0
            return self._file.write(data[:5])

    store.keep("one", "a", 1, {"x": np.zeros(1)})
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(store._writer, "_file", Full(store._writer))
        with pytest.raises(DiskFullError, match="cannot grow: the disk is full"):
            store.keep("one", "b", 1)
    assert path.read_bytes() == before
    store.keep("one", "b", 2, {"x": np.ones(1)})
    assert everything(store) == [(1, [0]), (2, [1])]


def test_lines_are_told_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one\n\ntor")
    lines = [(line.start, line.end, line.data, line.is_whole) for line in read_lines(path)]
    assert lines == [(0, 4, b"one", True), (4, 5, b"", True), (5, 8, b"tor", False)]
    with closing(LineWriter(path, keep=3)) as writer:
        assert writer.append("two") == 4
    assert path.read_bytes() == b"one\ntwo\n"
