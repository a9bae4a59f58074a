"""What may be drawn at all."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from adascale.cli.report import plots
from adascale.engine.errors import UsageError


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="matplotlib") as caught:
        plots.check_plot(tmp_path / "x.svg")
    assert "-m pip install" in caught.value.hint
    assert "matplotlib" in caught.value.hint


@pytest.mark.parametrize("folder", ["", ".", "/"])
def test_a_folder_is_no_picture(folder: str) -> None:
    with pytest.raises(UsageError, match="it is a folder"):
        plots.check_plot(Path(folder))


def test_the_picture_of_another_program_stays_and_the_hint_names_another(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    path.write_text("<svg/>")
    with pytest.raises(UsageError, match="is there already") as caught:
        plots.check_plot(path)
    assert caught.value.hint == "--plot plot-adascale.svg"
