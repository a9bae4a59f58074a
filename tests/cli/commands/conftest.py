from pathlib import Path

import pytest
from commands import clean_env
from sample_log import pens, written


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """A search that has ended, on the disk."""
    log = pens(running=False)
    log.end()
    return str(written(tmp_path / "t.jsonl", log.events))


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user without settings and models."""
    return clean_env(tmp_path_factory.mktemp("home"))
