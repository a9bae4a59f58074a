"""Rollouts of a session on a tiny model."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from home import write_questions

from adascale.engine.errors import UsageError
from adascale.models.calibration.collect import DrawPlan
from adascale.models.calibration.session_rollouts import FEWEST, SessionRollouts
from adascale.models.options import SessionOptions
from adascale.models.question_sets import read_known
from adascale.models.session import Session


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


def test_solutions_of_which_no_two_agree_label_nothing(chain_gguf: Path, tmp_path: Path) -> None:
    [problems] = read_known([write_questions(tmp_path / "train.jsonl", range(FEWEST))])
    options = SessionOptions(str(chain_gguf), ctx_size=512, calibration="none", purpose="rollouts")
    plan = DrawPlan(samples=1, rollouts=0, seed=0, programs=0)
    with Session(options) as session, SessionRollouts.open(session, problems, plan) as rollouts:
        assert len(list(rollouts.draw(session.driver(time.monotonic)))) == FEWEST
        with pytest.raises(UsageError, match="no two solutions of any question agree") as raised:
            rollouts.training_by_agreement()
    assert raised.value.slug == "no-agreement"
