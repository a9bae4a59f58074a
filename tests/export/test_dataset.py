from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest
import sampled
from pyarrow import parquet

from adascale.export.dataset import open_dataset
from adascale.export.formats import FORMATS, FormatName

PROMPT: Any = {"prompt": [{"role": "user", "content": "q"}], "ground_truth": "1", "success": None}


@pytest.mark.parametrize("name", get_args(FormatName))
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_rows_come_back_as_they_were(name: FormatName, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    rows = sampled.write_dataset(path, name, [*sampled.world(), sampled.prose_search()])
    if suffix == ".jsonl":
        found = [json.loads(line) for line in path.read_bytes().splitlines()]
    else:
        found = parquet.read_table(path).to_pylist()
    assert found == rows


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
def test_a_file_that_is_not_complete_is_not_there(name: str, tmp_path: Path) -> None:
    def write() -> None:
        with open_dataset(tmp_path / name, FORMATS["grpo"].row) as append:
            append(PROMPT)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not list(tmp_path.iterdir())


def test_what_json_cannot_say_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="JSON compliant"),
        open_dataset(tmp_path / "x.jsonl", dict) as append,
    ):
        append({**PROMPT, "success": math.nan})


def test_more_rows_than_a_group_are_written(tmp_path: Path) -> None:
    with open_dataset(tmp_path / "x.parquet", FORMATS["grpo"].row) as append:
        for _ in range(2500):
            append(PROMPT)
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 2500
