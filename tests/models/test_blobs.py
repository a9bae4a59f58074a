"""Blobs in one SQLite file: what was put is there, for another process too."""

from __future__ import annotations

import io
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adascale.engine.errors import AdascaleError, DiskFullError, UsageError
from adascale.models.blobs import BlobStore, Table, pack, pack_texts, unpack, unpack_texts

ONE = Table("one", ("key",), {"number": "INTEGER", "blob": "BLOB"})
TWO = Table("two", ("left", "right"), {"text": "TEXT"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    with closing(BlobStore(tmp_path / "deep" / "x.sqlite", (ONE, TWO))) as opened:
        yield opened


@pytest.mark.skipif(sys.platform == "win32", reason="no permissions")
@pytest.mark.usefixtures("store")
def test_only_its_owner_can_read_a_store(tmp_path: Path) -> None:
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "deep").iterdir()}
    assert modes == {0o600}


def test_a_row_is_known_by_its_whole_key(store: BlobStore) -> None:
    store.put(TWO, ["a", "b"], "ab")
    store.put(TWO, ["a", "c"], "ac")
    assert store.get(TWO, "a", "b") == ("ab",)
    assert store.get(TWO, "a", "c") == ("ac",)
    assert store.get(TWO, "b", "a") is None
    assert [store.holds(TWO, "a", right) for right in "bcd"] == [True, True, False]
    assert (store.count(ONE), store.count(TWO)) == (0, 2)


def test_a_row_replaces_another_unless_it_must_not(store: BlobStore) -> None:
    store.put(ONE, ["a"], 1, b"first")
    store.put(ONE, ["a"], 2, b"second", replace=False)
    assert store.get(ONE, "a") == (1, b"first")
    store.put(ONE, ["a"], 3, b"third")
    assert list(store.rows(ONE)) == [("a", 3, b"third")]


def test_a_reader_that_stops_early_may_be_forgotten_behind_the_store(store: BlobStore) -> None:
    for key in "abc":
        store.put(ONE, [key], 1, b"x")
    rows = store.rows(ONE)
    assert next(rows) == ("a", 1, b"x")
    store.close()
    rows.close()  # type: ignore[attr-defined]


def test_a_blob_of_python_objects_is_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, bad=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="pickle"):
        unpack(buffer.getvalue())


@given(st.lists(st.text()))
@settings(deadline=None)
def test_texts_come_back_whatever_is_in_them(texts: list[str]) -> None:
    assert unpack_texts(unpack(pack({"texts": pack_texts(texts)}))["texts"]) == tuple(texts)


def as_text(path: Path) -> None:
    path.write_text("hello, this is no database\n" * 1000)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 1)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(100, len(data), 7):
        data[at] ^= 0xFF
    path.write_bytes(data)


def with_another_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE one; CREATE TABLE one (x)")


def with_text_that_is_none(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE two SET text = CAST(x'ff' AS TEXT)")
        db.commit()


def read_all(path: Path) -> None:
    with closing(BlobStore(path, (ONE, TWO))) as store:
        list(store.rows(ONE))
        list(store.rows(TWO))


@pytest.mark.parametrize("damage", [as_text, cut, flip, with_another_schema, with_text_that_is_none])
def test_a_damaged_file_is_named_with_a_way_out(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "x.sqlite"
    with closing(BlobStore(path, (ONE, TWO))) as store:
        for n in range(200):
            store.put(ONE, [str(n)], n, bytes(500))
            store.put(TWO, ["a", str(n)], "text")
    damage(path)
    with pytest.raises(AdascaleError) as raised:
        read_all(path)
    assert (raised.value.slug, raised.value.message) == ("bad-store", f"{path} is damaged")
    assert raised.value.facts
    assert raised.value.hint == "move it away; the same command then draws again what it held"


def test_values_that_nobody_put_are_damage(store: BlobStore) -> None:
    for blob in (b"", b"garbage", b"PK\x03\x04", pack({"a": np.array([1])})[:-9], "text"):
        store.put(ONE, ["a"], 1, blob)
        row = store.get(ONE, "a")
        assert row is not None
        with pytest.raises(AdascaleError, match="is damaged"), store.decoding():
            unpack(row[1])
    with pytest.raises(UsageError, match="as it is"), store.decoding():
        raise UsageError("as it is")


def test_what_is_no_file_or_is_held_by_another_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot use .*: (is a directory|permission denied)"):
        BlobStore(tmp_path, (ONE,))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot use .*: (not a directory|file exists)"):
        BlobStore(tmp_path / "file" / "x.sqlite", (ONE,))
    path = tmp_path / "x.sqlite"
    with closing(BlobStore(path, (ONE,))) as store, closing(sqlite3.connect(path)) as other:
        store._db.execute("PRAGMA busy_timeout=1")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match="is being written by another run") as raised:
            store.put(ONE, ["a"], 1, b"")
    assert raised.value.slug == "locked"


def test_a_full_disk_is_said_and_what_is_there_stays(store: BlobStore) -> None:
    store.put(ONE, ["a"], 1, b"")
    store._db.execute("PRAGMA max_page_count=1")
    with pytest.raises(DiskFullError, match="cannot grow: the disk is full"):
        store.put(ONE, ["b"], 1, bytes(100_000))
    assert list(store.rows(ONE)) == [("a", 1, b"")]


def test_a_disk_without_room_for_the_files_beside_a_store_is_full(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 16 to 32 KB left SQLite makes the file and its log, and fails to make the index of the log."""
    refused = sqlite3.OperationalError("disk I/O error")
    refused.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    monkeypatch.setattr(store, "_db", Mock(execute=Mock(side_effect=refused)))
    with pytest.raises(DiskFullError, match="cannot grow: the disk is full"):
        store.put(ONE, ["a"], 1, b"")
