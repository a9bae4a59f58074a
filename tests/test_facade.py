"""The public surface: what ``import adascale`` offers, and a search through it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import adascale


def test_every_public_name_exists_and_is_listed() -> None:
    for name in adascale.__all__:
        assert getattr(adascale, name) is not None
    assert set(adascale.__all__) <= set(dir(adascale))
    with pytest.raises(AttributeError):
        adascale.no_such_name  # noqa: B018


def test_a_search_in_python(chain_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = adascale.SessionOptions(generator=str(chain_gguf), branches=4)
    settings = adascale.Settings(adascale.strategy_named("vote"), adascale.SearchParams(samples=4), seed=1)
    with adascale.Session(options) as session:
        clock = itertools.count()
        driver = session.driver(lambda: float(next(clock)))
        events = [event for _, event in driver.run([adascale.Problem("1", "What is 9 * 2?")], settings)]
    last = events[-1]
    assert isinstance(last, adascale.SearchFinished)
    assert last.result.answer == "18"
    assert len(adascale.replay(events)) > 4
