"""Blobs in one SQLite file: what was put is there, for another process and from an older version too."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.models.blobs import BlobStore, Table, pack, pack_texts, unpack, unpack_texts

ONE = Table("one", ("key",), {"number": "INTEGER", "blob": "BLOB"})
TWO = Table("two", ("left", "right"), {"text": "TEXT"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    with closing(BlobStore(tmp_path / "deep" / "x.sqlite", (ONE, TWO))) as opened:
        yield opened


def test_a_row_is_known_by_its_whole_key(store: BlobStore) -> None:
    store.put(TWO, ["a", "b"], "ab")
    store.put(TWO, ["a", "c"], "ac")
    assert store.get(TWO, "a", "b") == ("ab",)
    assert store.get(TWO, "a", "c") == ("ac",)
    assert store.get(TWO, "b", "a") is None
    assert [store.holds(TWO, "a", right) for right in "bcd"] == [True, True, False]
    assert (store.count(ONE), store.count(TWO)) == (0, 2)


def test_put_replaces_and_add_does_not(store: BlobStore) -> None:
    store.put(ONE, ["a"], 1, b"first")
    store.add(ONE, ["a"], 2, b"second")
    assert store.get(ONE, "a") == (1, b"first")
    store.put(ONE, ["a"], 3, b"third")
    assert store.get(ONE, "a") == (3, b"third")
    assert store.count(ONE) == 1


def test_two_stores_of_one_file_see_each_other(store: BlobStore, tmp_path: Path) -> None:
    with closing(BlobStore(tmp_path / "deep" / "x.sqlite", (ONE, TWO))) as other:
        store.put(ONE, ["a"], 1, b"x")
        other.put(ONE, ["b"], 2, b"y")
        assert other.get(ONE, "a") == (1, b"x")
        assert store.get(ONE, "b") == (2, b"y")


def test_a_table_of_an_older_version_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE one (key TEXT PRIMARY KEY, number INTEGER NOT NULL, blob BLOB NOT NULL)")
        db.execute("INSERT INTO one VALUES ('a', 7, x'00ff')")
        db.commit()
    with closing(BlobStore(path, (ONE, TWO))) as store:
        assert store.get(ONE, "a") == (7, b"\x00\xff")
        store.put(ONE, ["a"], 8, b"new")
        assert store.get(ONE, "a") == (8, b"new")


def test_arrays_come_back_with_their_types_and_take_less_room() -> None:
    arrays = {
        "ids": np.zeros(5000, np.int32),
        "half": np.array([[0.5, 2]], np.float16),
        "none": np.zeros((0, 3)),
    }
    blob = pack(arrays)
    assert len(blob) < arrays["ids"].nbytes / 10
    found = unpack(blob)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_a_blob_that_was_not_compressed_is_read() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, ids=np.arange(5))
    assert np.array_equal(unpack(buffer.getvalue())["ids"], np.arange(5))


def test_a_blob_of_python_objects_is_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, bad=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="pickle"):
        unpack(buffer.getvalue())


@given(st.lists(st.text()))
def test_texts_come_back_whatever_is_in_them(texts: list[str]) -> None:
    assert unpack_texts(unpack(pack({"texts": pack_texts(texts)}))["texts"]) == tuple(texts)
