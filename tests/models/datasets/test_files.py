from __future__ import annotations

import gc
import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import sampled
from pyarrow import json as arrow_json
from pyarrow import parquet

from adascale.engine.datasets.formats import FORMATS, FormatName
from adascale.models.datasets.files import FileFormat, open_dataset


@pytest.mark.parametrize("name", get_args(FormatName))
@pytest.mark.parametrize("file_format", get_args(FileFormat))
def test_rows_come_back_as_they_were(name: FormatName, file_format: FileFormat, tmp_path: Path) -> None:
    path = tmp_path / f"x.{file_format}"
    rows, sha256 = sampled.write_dataset(path, name, file_format, [*sampled.world(), sampled.prose_search()])
    if file_format == "jsonl":
        found = [json.loads(line) for line in path.read_bytes().splitlines()]
    else:
        found = parquet.read_table(path).to_pylist()
    assert found == rows
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_is_not_complete_is_not_there(tmp_path: Path) -> None:
    nan: Any = {"prompt": [], "ground_truth": "1", "success": math.nan}
    with (
        pytest.raises(ValueError, match="JSON compliant"),
        open_dataset(tmp_path / "x", "jsonl", dict) as (writer, _),
    ):
        writer.write(nan)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_export_leaves_nothing_that_still_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with pytest.raises(KeyboardInterrupt), open_dataset(tmp_path / "x", "parquet", FORMATS["sft"].row):
        raise KeyboardInterrupt
    gc.collect()
    assert not unraisable
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file_format", get_args(FileFormat))
def test_half_of_a_surrogate_pair_is_a_question_mark(file_format: FileFormat, tmp_path: Path) -> None:
    row: Any = {
        "prompt": [{"role": "user", "content": "1 + \udfff \U0001f600"}],
        "ground_truth": "1",
        "success": None,
    }
    with open_dataset(tmp_path / "x", file_format, FORMATS["grpo"].row) as (writer, _):
        writer.write(row)
    read = parquet.read_table if file_format == "parquet" else arrow_json.read_json
    [found] = read(tmp_path / "x").to_pylist()
    assert found["prompt"][0]["content"] == "1 + ? \U0001f600"


def test_more_rows_than_a_group_are_written(tmp_path: Path) -> None:
    row: Any = {"prompt": [{"role": "user", "content": "q"}], "ground_truth": "1", "success": None}
    with open_dataset(tmp_path / "x", "parquet", FORMATS["grpo"].row) as (writer, _):
        for _ in range(2500):
            writer.write(row)
    assert parquet.read_table(tmp_path / "x").num_rows == 2500
