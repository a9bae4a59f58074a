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

from adascale.engine.errors import AdascaleError, DiskFullError, UsageError
from adascale.models.blobs import BlobStore, unpack


class Store(BlobStore):
    tables = ("one", "two")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "deep" / "x.sqlite")) as opened:
        yield opened


@pytest.mark.skipif(sys.platform == "win32", reason="no permissions")
@pytest.mark.usefixtures("store")
def test_only_its_owner_can_read_a_store(tmp_path: Path) -> None:
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "deep").iterdir()}
    assert modes == {0o600}


def test_a_blob_replaces_another_of_its_table_unless_it_must_not(store: Store) -> None:
    store._put("one", "a", b"first")
    store._put("one", "a", b"second", replace=False)
    assert store._get("one", "a") == b"first"
    store._put("one", "a", b"third")
    assert list(store._every("one")) == [b"third"]
    assert [store._holds(table, "a") for table in store.tables] == [True, False]
    assert store._get("two", "a") is None


def test_a_reader_that_stops_early_may_be_forgotten_behind_the_store(store: Store) -> None:
    for key in "abc":
        store._put("one", key, b"x")
    rows = store._every("one")
    assert next(rows) == b"x"
    store.close()
    rows.close()  # type: ignore[attr-defined]


def test_a_blob_of_python_objects_is_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, bad=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="pickle"):
        unpack(buffer.getvalue())


def as_text(path: Path) -> None:
    path.write_text("hello, this is no database\n" * 1000)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 1)


def with_another_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE one; CREATE TABLE one (x)")


@pytest.mark.parametrize("damage", [as_text, cut, with_another_schema])
def test_a_damaged_file_is_named_with_a_way_out(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "x.sqlite"
    with closing(Store(path)) as store:
        for n in range(200):
            store._put("one", str(n), bytes(500))
    damage(path)
    with pytest.raises(AdascaleError) as raised, closing(Store(path)) as store:
        list(store._every("one"))
    assert (raised.value.slug, raised.value.message) == ("bad-store", f"{path} is damaged")
    assert raised.value.hint == "move it away; the same command then draws again what it held"


def test_what_is_no_file_or_is_held_by_another_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot use .*: (is a directory|permission denied)"):
        Store(tmp_path)
    path = tmp_path / "x.sqlite"
    with closing(Store(path)) as store, closing(sqlite3.connect(path)) as other:
        store._db.execute("PRAGMA busy_timeout=1")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match="is being written by another run") as raised:
            store._put("one", "a", b"")
    assert raised.value.slug == "locked"


def test_a_full_disk_is_said_and_what_is_there_stays(store: Store) -> None:
    store._put("one", "a", b"")
    store._db.execute("PRAGMA max_page_count=1")
    with pytest.raises(DiskFullError, match="cannot grow: the disk is full"):
        store._put("one", "b", bytes(100_000))
    assert list(store._every("one")) == [b""]


def test_a_disk_without_room_for_the_files_beside_a_store_is_full(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 16 to 32 KB left SQLite makes the file and its log, and fails to make the index of the log."""
    refused = sqlite3.OperationalError("disk I/O error")
    refused.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    monkeypatch.setattr(store, "_db", Mock(execute=Mock(side_effect=refused)))
    with pytest.raises(DiskFullError, match="cannot grow: the disk is full"):
        store._put("one", "a", b"")
