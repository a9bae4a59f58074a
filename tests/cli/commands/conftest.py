from pathlib import Path

import pytest
from sample_log import pens, written


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """A search that has ended, on the disk."""
    log = pens(running=False)
    log.end()
    return str(written(tmp_path / "t.jsonl", log.events))
