from __future__ import annotations

from pathlib import Path

import pytest

from adascale.models.options import SessionOptions
from adascale.models.session import Session
from bench.runtime.soak import soak

pytestmark = pytest.mark.slow


def test_a_short_soak_leaves_no_slot_prefix_file_or_thread(chain_gguf: Path) -> None:
    with Session(SessionOptions(str(chain_gguf), branches=8, ctx_size=512)) as session:
        found = soak(session, searches=60, seed=3)
    assert found["searches"] >= 60
    assert found["interrupted"] > 0
    assert (found["more_files"], found["more_threads"]) == (0, 0)
