"""``adascale.label`` in Python: lists of dicts, and frames as pandas and polars have them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import adascale
from adascale.labels import labelling

ROWS = [{"text": "red wine", "id": 1}, {"text": None, "id": 2}, {"text": "blue", "id": 3}]


class Colours:
    """A reader that finds its labels in a text; ``read_texts`` are those that it was given."""

    key = "colours"
    read_texts: list[str]

    def read(self, texts: Sequence[str]) -> Iterator[tuple[int, list[float]]]:
        self.read_texts = [*texts]
        for place, text in reversed([*enumerate(texts)]):
            yield place, [math.log(0.9 if word in text else 0.1) for word in ("red", "blue")]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Colours:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = Colours()
    monkeypatch.setattr(labelling, "open_reader", lambda *_: made)
    return made


class Pandas(list[Mapping[str, Any]]):
    def to_dict(self, orient: str) -> list[Mapping[str, Any]]:
        assert orient == "records"
        return [*self]

    def assign(self, **columns: Sequence[Any]) -> Pandas:
        return Pandas({**row, **{k: v[n] for k, v in columns.items()}} for n, row in enumerate(self))


class Polars:
    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.columns = columns

    def iter_rows(self, *, named: bool) -> Iterator[dict[str, Any]]:
        assert named
        return (dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True))

    def hstack(self, other: Polars) -> Polars:
        assert not self.columns.keys() & other.columns.keys()
        return Polars({**self.columns, **other.columns})


def rows_of(frame: Any) -> list[Any]:
    return [*frame.iter_rows(named=True)] if isinstance(frame, Polars) else [*frame]


@pytest.mark.parametrize(
    "frame", [ROWS, Pandas(ROWS), Polars({name: [row[name] for row in ROWS] for name in ROWS[0]})]
)
def test_rows_come_back_as_they_were_with_four_columns_more(frame: Any, reader: Colours) -> None:
    once = adascale.label(frame, labels=["red", "blue"])
    assert type(once) is type(frame)
    assert [row["label"] for row in rows_of(once)] == ["red", "", "blue"]
    assert [row["id"] for row in rows_of(once)] == [1, 2, 3]
    assert reader.read_texts == ["red wine", "blue"], "what is missing is not read"
    twice = rows_of(adascale.label(once, labels=["red", "blue"]))
    assert [row["adascale_label"] for row in twice] == [row["label"] for row in twice]


def test_a_cell_that_is_missing_is_no_known_label() -> None:
    cells = [None, math.nan, "", " nan ", 3, "None"]
    assert [labelling.cell_text(cell) for cell in cells] == ["", "", "", "nan", "3", "None"]
