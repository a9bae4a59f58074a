"""A few checks on a real small model (98 MB, from the Hub or the package index)."""

from __future__ import annotations

import pytest
from scripted import usage_of

import adascale
from adascale.engine.errors import ModelUnavailableError
from adascale.models.files.library import ModelFile, resolve

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def smollm() -> ModelFile:
    try:
        return resolve("smollm2-135m")
    except ModelUnavailableError as error:
        pytest.skip(f"smollm2-135m cannot be fetched here: {error.message}")


@pytest.mark.parametrize("strategy", [adascale.Vote(4), adascale.Beam(2, 2)])
def test_a_search_with_a_judge_ends_with_an_answer(smollm: ModelFile, strategy: adascale.Strategy) -> None:
    options = adascale.SessionOptions(generator="smollm2-135m", prm="self", branches=4)
    settings = adascale.Settings(strategy, adascale.Budget(max_tokens=600), seed=5)
    with adascale.Session(options) as session:
        ticks = iter(range(10**9))
        driver = session.driver(lambda: float(next(ticks)))
        problem = adascale.Problem("1", "Tom has 3 apples and buys 4 more. How many apples has he?")
        events = [event for _, event in driver.run([problem], settings)]
    tree = adascale.replay(events)
    assert usage_of(tree).generated_tokens > 20
    rewards = [node.reward for node in tree if node.reward is not None]
    assert rewards
    assert all(0 < reward < 1 for reward in rewards)
