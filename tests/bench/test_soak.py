from __future__ import annotations

from pathlib import Path

import pytest

from adascale.models.options import SessionOptions
from adascale.models.session import Session
from bench.runtime import soak_serve
from bench.runtime.serving import serving
from bench.runtime.soak import soak

pytestmark = pytest.mark.slow


def test_a_short_soak_leaves_no_slot_prefix_file_or_thread(chain_gguf: Path) -> None:
    with Session(SessionOptions(str(chain_gguf), branches=8, ctx_size=512)) as session:
        found = soak(session, searches=60, seed=3)
    assert found["searches"] >= 60
    assert found["interrupted"] > 0
    assert (found["more_files"], found["more_threads"]) == (0, 0)


@pytest.mark.timeout(600)
def test_a_short_soak_of_a_server_breaks_no_answer_and_leaves_nothing(
    chain_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with serving(chain_gguf, tmp_path / "said") as server:
        found = soak_serve.soak(server, 200, 4, 3)
        assert "Traceback" not in server.said.read_text()
    assert found["broken"] == 0
    assert (found["more_files"], found["more_processes"]) == (0, 0)
    assert found["more_threads"] <= soak_serve.THREADS_ON_DEMAND
