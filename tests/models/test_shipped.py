"""The calibrations that come with the package belong to the models and the prompt that come with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

import adascale
from adascale.engine.errors import ModelUnavailableError
from adascale.engine.events import SearchFinished
from adascale.models.calibrations import SUFFIX, load
from adascale.models.catalog import catalog
from adascale.models.sampling import SamplingParams
from adascale.models.shelf import shipped_folder
from adascale.models.sources import resolve

FITTING = {
    "gsm8k-train.jsonl",
    "math-train.jsonl",
    "svamp-train.jsonl",
    "multiarith.jsonl",
    "singleop.jsonl",
    "addsub.jsonl",
}
SHIPPED = sorted(shipped_folder().glob(f"*{SUFFIX}"))


def test_every_small_built_in_model_has_one() -> None:
    names = {load(path).card.name for path in SHIPPED}
    assert names == {"qwen2.5-coder-1.5b+probe", "qwen2.5-coder-0.5b+probe", "smollm2-135m+probe"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name.removesuffix(SUFFIX))
def test_it_is_of_a_built_in_model_and_was_fitted_on_fitting_questions(path: Path) -> None:
    card = load(path).card
    name, _, prm = card.name.partition("+")
    assert (card.fingerprint.generator, prm) == (catalog()[name].sha256, "probe")
    assert path.stat().st_size <= 4_000_000
    assert set(card.data) <= FITTING
    assert card.fingerprint.sampling == asdict(SamplingParams())
    assert card.questions >= 100


@pytest.mark.model
def test_the_prompt_is_still_the_one_that_was_fitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    try:
        resolve("smollm2-135m")
    except ModelUnavailableError as error:
        pytest.skip(f"smollm2-135m cannot be fetched here: {error.message}")
    with adascale.Session(adascale.SessionOptions(generator="smollm2-135m", branches=4)) as session:
        assert session.calibration is not None
        assert session.warnings == []
        ticks = iter(range(10**9))
        settings = adascale.Settings(
            adascale.strategy_named("vote"), adascale.SearchParams(samples=4), adascale.Budget(400), seed=1
        )
        problem = adascale.Problem("1", "Tom has 3 apples and buys 4 more. How many apples has he?")
        events = [event for _, event in session.driver(lambda: float(next(ticks))).run([problem], settings)]
    tree = adascale.replay(events)
    estimates = [node.estimate for node in tree if node.estimate is not None]
    assert len(estimates) > 1
    assert all(e.calibrated and 0 < e.lower <= e.median <= e.upper < 1 for e in estimates)
    assert isinstance(events[-1], SearchFinished)
