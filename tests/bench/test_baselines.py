"""The published rules beside which ``adaptive`` is measured: each stops where its paper says."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from scripted import ScriptedExecutor, ended, logs_of
from worlds import execute

from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.record import Record
from adascale.engine.strategies import STRATEGIES, strategy_named
from adascale.engine.types import Problem, Step
from bench.baselines import register_baselines
from bench.scripted import ScriptedPolicy, scripted_step

BASELINES = {"adaptive-consistency", "first-to", "margin", "esc", "cpff", "dvts"}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    before = dict(STRATEGIES)
    register_baselines()
    yield
    STRATEGIES.clear()
    STRATEGIES.update(before)


def test_all_of_them_are_known_by_name() -> None:
    assert set(STRATEGIES) >= BASELINES


@pytest.mark.parametrize(
    ("name", "parameters", "agreeing", "most"),
    [
        ("adaptive-consistency", {}, 4, 16),  # 31/32 is the first posterior above .95
        ("first-to", {"votes": 3}, 3, 16),
        ("margin", {"lead": 3}, 3, 16),
        ("esc", {"window": 5}, 5, 16),
        ("cpff", {}, 2, 16),
        ("dvts", {"beams": 2, "branching": 3}, 6, 6),  # every child of both trees finishes
    ],
)
@pytest.mark.parametrize("is_agreed", [True, False])
def test_it_stops_where_it_should(
    name: str, parameters: dict[str, int], agreeing: int, most: int, is_agreed: bool
) -> None:
    numbers = iter(range(10**6))

    def script(prefix: Prefix, rng: random.Random) -> Step:
        answer = 18 if is_agreed else next(numbers)
        text = f"```python\nprint({answer})\n```" if prefix.mode == "program" else f"Answer: {answer}."
        return scripted_step(text, "stop")

    executor = ScriptedExecutor(execute)
    driver = Driver(ScriptedPolicy(script, 1), SequenceLogprob(), {}, lambda: 0.0, executor=executor)
    settings = Settings(strategy_named(name, **parameters), width=1)
    [log] = logs_of(driver.run([Problem("p", "?", "18")], settings)).values()
    assert len(Record.of(log).candidates) == (agreeing if is_agreed else most)
    is_confident = is_agreed and name != "dvts"
    assert ended(log).result.stop_reason == ("confident" if is_confident else "exhausted")
