"""Datasets as trainers read them: through ``datasets.load_dataset`` (``pip install 'adascale[train]'``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import sampled

from adascale.export.formats import FormatName

datasets = pytest.importorskip("datasets", reason="datasets is not installed: pip install 'adascale[train]'")

pytestmark = pytest.mark.slow

READERS = {"jsonl": "json", "parquet": "parquet"}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def load(path: Path, file_format: str) -> list[Any]:
    return list(
        datasets.load_dataset(
            READERS[file_format], data_files=str(path), split="train", cache_dir=str(path.parent / "cache")
        )
    )


@pytest.mark.parametrize("name", get_args(FormatName))
@pytest.mark.parametrize("file_format", READERS)
def test_a_dataset_is_loaded_as_it_was_written(name: FormatName, file_format: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{file_format}"
    rows = sampled.write_dataset(path, name, [*sampled.world(), sampled.prose_search()])
    assert rows
    assert load(path, file_format) == rows


def test_parquet_alone_keeps_a_text_that_looks_like_a_date(tmp_path: Path) -> None:
    for file_format in READERS:
        path = tmp_path / f"x.{file_format}"
        rows = sampled.write_dataset(path, "grpo", [sampled.question(answer="2024-01-01")])
        assert (load(path, file_format) == rows) == (file_format == "parquet")


def test_parquet_alone_keeps_a_column_whose_first_values_are_unknown(tmp_path: Path) -> None:
    """``datasets`` takes the types of JSON Lines from the first ten million bytes."""
    long = "x" * 1_000_000
    unknown = [sampled.question(sampled.node(0, f"{n}{long}", 0.9), name=str(n)) for n in range(12)]
    questions = [*unknown, sampled.question(sampled.node(0, "y", 0.9, (1, 2)))]
    rows = sampled.write_dataset(tmp_path / "x.parquet", "soft-steps", questions)
    assert load(tmp_path / "x.parquet", "parquet") == rows
    sampled.write_dataset(tmp_path / "x.jsonl", "soft-steps", questions)
    with pytest.raises(datasets.exceptions.DatasetGenerationError):
        load(tmp_path / "x.jsonl", "jsonl")
