"""How a search reasons, and by which calibration, is settled once the models are open."""

from __future__ import annotations

import pytest

from adascale.engine.search.events import ModelDescription
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Adaptive, ModeChoice, Vote
from adascale.engine.types import Mode

PROSE = ModelDescription(calibration={"name": "of prose", "modes": ["prose"]})
BOTH = ModelDescription(calibration={"name": "of both", "modes": ["prose", "program"]})


@pytest.mark.parametrize("mode", ["auto", "prose", "program"])
def test_a_calibration_of_both_modes_is_used_in_each(mode: ModeChoice) -> None:
    chosen = Settings(Adaptive(), models=BOTH).in_mode(mode, ("prose", "program"))
    assert (chosen.models, chosen.warnings) == (BOTH, ())
    assert chosen.strategy.modes == (("prose", "program") if mode == "auto" else (mode,))


@pytest.mark.parametrize("among", [("prose",), ("prose", "program")])
def test_a_calibration_of_prose_is_not_used_for_programs(among: tuple[Mode, ...]) -> None:
    settings = Settings(Vote(2), models=PROSE)
    assert settings.in_mode("auto", among) == settings
    programs = settings.in_mode("program", among)
    assert programs.models.calibration is None
    [warning] = programs.warnings
    assert "knows no programs" in warning.message
