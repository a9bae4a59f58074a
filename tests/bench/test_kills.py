"""A few kills of a fit and of a server do no harm; ``bench.runtime`` has the many."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.runtime import kills_fit, kills_serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_fit_that_is_killed_ends_as_one_left_alone(chain_gguf: Path, tmp_path: Path) -> None:
    data = kills_fit.write_questions(tmp_path / "questions.jsonl", 40)
    found = kills_fit.kill_again_and_again(chain_gguf, data, 3, 1, tmp_path)
    assert found["kills"] == 3
    assert not any(found[fault] for fault in ("lost", "doubled", "torn", "different", "left")), found


def test_a_server_whose_processes_are_killed_loses_no_answer(chain_gguf: Path, tmp_path: Path) -> None:
    found = kills_serve.kill_again_and_again(chain_gguf, 5, 2, 1, tmp_path)
    assert (found["kills"], found["servers"]) == (5, 2)
    assert found["answers"]
    assert not any(found[fault] for fault in ("lost", "doubled", "torn", "left", "tracebacks")), found
