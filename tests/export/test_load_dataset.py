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
