"""``calibrate level``: what kept runs say of a model, and the answers that it asks for."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from commands import invoked
from event_logs import logs_of
from traces import written

from adascale.cli.app import app
from adascale.cli.commands import level
from adascale.cli.disk.history import runs_dir
from adascale.engine.calibration.votes import rate_of_size, shifted
from adascale.engine.ports import Prefix
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import GeneratorDescription, ModelDescription
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Vote
from adascale.engine.types import Problem, Step, Turn
from adascale.models.files.library import resolve
from adascale.models.model_use import read_use
from bench.scripted import ScriptedPolicy, ScriptedPRM, scripted_step

RIGHT = 0.9


@pytest.fixture
def model(chain_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small model of which 12 good runs are kept, and one of another model."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    runs_dir().mkdir(parents=True)
    sha256 = resolve(str(chain_gguf), offline=True).sha256
    for at in range(13):
        keep(at, sha256 if at else "f" * 64)
    (runs_dir() / "20260101-000000-torn.jsonl").write_text("{")
    return str(chain_gguf)


def keep(at: int, sha256: str, history: tuple[Turn, ...] = ()) -> None:
    def script(prefix: Prefix, rng: random.Random) -> Step:
        return scripted_step(f"Answer: {at if rng.random() < RIGHT else rng.randint(100, 10**6)}.", "stop")

    driver = Driver(ScriptedPolicy(script, 8), ScriptedPRM(lambda _: 0.5), {}, lambda: 0.0)
    models = ModelDescription(GeneratorDescription("chain", sha256=sha256))
    problem = Problem("1", f"What is {at}?", history=history)
    [log] = logs_of(driver.run([problem], Settings(Vote(4), models=models))).values()
    written(runs_dir() / f"20260102-0000{at:02}-aaaa.jsonl", log)


def facts(model: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoked(app, "calibrate", "level", "-m", model, "--json")[0])
    return found


def test_agreement_stands_beside_the_level_by_size(model: str) -> None:
    found = facts(model)
    assert found["by_size"] == found["level"] == pytest.approx(rate_of_size(1e6), abs=1e-3)
    assert found["by_agreement"] > found["by_size"] + 0.1
    assert found["kept_questions"] == 12
    text, said = invoked(app, "calibrate", "level", "-m", model)
    assert "by agreement" in text
    assert "in a terminal" in said
    assert facts(model) == found, "looking changes nothing"


def test_known_answers_move_the_level_and_are_forgotten(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = facts(model)
    # The newest run is asked about first; the second question is left out.
    typed = ["12", "", *map(str, range(10, 1, -1))]
    monkeypatch.setattr(level, "is_interactive", lambda: True)
    monkeypatch.setattr(level, "sys", type("Streams", (), {"stdin": lines(typed), "stderr": io.StringIO()}))
    invoked(app, "calibrate", "level", "-m", model)
    after = facts(model)
    assert after["known_answers"] == 10
    assert after["level"] == pytest.approx(shifted(before["by_size"], 1.0), abs=2e-3), "by one logit"
    assert "in a terminal" not in invoked(app, "calibrate", "level", "-m", model)[1], "it asks once"
    invoked(app, "calibrate", "level", "-m", model, "--forget")
    assert facts(model) == before


def test_a_question_that_followed_on_others_is_not_asked_about(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = resolve(model, offline=True).sha256
    keep(20, sha256, (Turn("user", "hi"), Turn("assistant", "Hello!")))
    asked = io.StringIO()
    monkeypatch.setattr(level, "is_interactive", lambda: True)
    monkeypatch.setattr(level, "sys", type("Streams", (), {"stdin": lines([""] * 20), "stderr": asked}))
    invoked(app, "calibrate", "level", "-m", model)
    assert "What is 12?" in asked.getvalue()
    assert "What is 20?" not in asked.getvalue()


def test_who_gives_no_answer_moves_nothing(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = facts(model)
    monkeypatch.setattr(level, "is_interactive", lambda: True)
    monkeypatch.setattr(level, "sys", type("Streams", (), {"stdin": lines([]), "stderr": io.StringIO()}))
    invoked(app, "calibrate", "level", "-m", model)
    assert facts(model) == before
    assert not read_use(resolve(model, offline=True).sha256).answers


def lines(typed: list[str]) -> io.StringIO:
    return io.StringIO("".join(f"{line}\n" for line in typed))
