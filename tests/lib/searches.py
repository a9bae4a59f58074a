"""Logs of real searches with an invented generator, for properties that hold for any search."""

from __future__ import annotations

import random
from typing import Any

from adascale.engine.ports import Prefix
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import STRATEGIES, Strategy, strategy_named
from adascale.engine.types import Budget, Problem, Step
from bench.scripted import ScriptedPolicy, ScriptedPRM, scripted_step


def sized(name: str, **numbers: Any) -> Strategy:
    """The strategy of a name with those of the numbers that it has."""
    return strategy_named(name, **{each: n for each, n in numbers.items() if STRATEGIES[name].has(each)})


def searched(strategy: str, seed: int, budget: int | None) -> list[Event]:
    """A whole search with invented steps."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        last = prefix.mode == "code" or len(prefix.steps) >= 3 or rng.random() < 0.3
        text = f"the answer is {rng.randrange(3)}" if last else f"step {rng.randrange(100)}\n"
        return scripted_step(text, "stop" if last else "step")

    def reward(prefix: Prefix) -> float:
        return random.Random("".join(step.text for step in prefix.steps)).random()

    ticks = iter(range(10**6))
    driver = Driver(ScriptedPolicy(script, slots=5), ScriptedPRM(reward), {}, lambda: next(ticks) / 100)
    small = sized(strategy, samples=6, beams=2, branching=3)
    chosen = Settings(small, Budget(max_tokens=budget), seed=seed, width=4)
    return [event for _, event in driver.run([Problem("q", "what?")], chosen)]
