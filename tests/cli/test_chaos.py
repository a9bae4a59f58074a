"""A batch whose processes are killed again and again ends as if they had not been."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Home

from bench.runtime.kills import Batch, batch_command, kill_again_and_again

QUESTIONS = 12
KILLS = 4
"""Half of the parent, half of the worker; ``bench.runtime.kills`` does a hundred."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(chain_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.asking(tmp_path_factory.mktemp("home"), chain_gguf, QUESTIONS)


def test_killed_in_the_middle_and_nothing_is_lost_or_there_twice(home: Home, tmp_path: Path) -> None:
    options = ("--strategy", "vote", "-o", "samples", "24")
    batch = Batch(batch_command(home.data, home.model, *options), home.env)
    found = kill_again_and_again(batch, KILLS, 2.0, 7, tmp_path)
    assert (found["questions"], found["kills"]) == (QUESTIONS, KILLS)
    assert not any(found[fault] for fault in ("lost", "doubled", "torn", "different")), found
