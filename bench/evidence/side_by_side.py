"""Seconds and tokens of one question alone, by how many of its solutions run side by side.

Usage: ``python -m bench.evidence.side_by_side FILE.jsonl.gz ... [--orders 4]``

Each file is a cell (``recorded_draws``): its solutions are played back at its recorded step costs, each
question alone. Beside solutions that never run ahead of their turn stand ``-o hurry false`` and ``true``. The
answers have to be the same, since solutions count in drawing order. Seconds leave out what reading
prompts takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adascale.engine.search.events import SearchFinished
from adascale.engine.search.settings import Settings

from ..common import close, table
from . import recorded_draws

RULES = {"one after another": None, "hurry false": False, "hurry true": True}
"""What they stand for as ``Settings.hurry``; the first runs nothing ahead."""


def play(path: Path, hurry: bool | None, orders: int) -> tuple[NDArray[np.float64], list[Any]]:
    """``[questions, 2]`` tokens and seconds, means over the orders; and what was found in each search."""
    header, driver, problems = recorded_draws.replay_driver(path, orders, runs_ahead=hurry is not None)
    strategy = recorded_draws.adaptive(header)
    costs, found = [], []
    for order in range(orders):
        settings = Settings(strategy, seed=header["seed"] + order, hurry=hurry)
        for _, event in driver.run(problems, settings, at_once=1):
            if isinstance(event, SearchFinished):
                costs.append((event.usage.generated_tokens, event.usage.seconds))
                groups = [(group.answer, len(group.nodes)) for group in event.result.groups]
                found.append((event.result.answer, event.result.confidence, groups))
    return np.array(costs).reshape(orders, len(problems), 2).mean(axis=0), found


def show(name: str, plays: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """A table for people, and its numbers."""
    usual = plays["one after another"].mean(axis=0)
    means = {rule: costs.mean(axis=0) for rule, costs in plays.items()}
    print(f"\n{name}")
    table(
        ["", "tokens", "seconds", "of the tokens", "of the seconds"],
        [
            [
                rule,
                f"{tokens:,.0f}",
                f"{seconds:.1f}",
                f"{tokens / usual[0]:.2f}",
                f"{seconds / usual[1]:.2f}",
            ]
            for rule, (tokens, seconds) in means.items()
        ],
    )
    return {rule: {"tokens": float(t), "seconds": float(s)} for rule, (t, s) in means.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--orders", type=int, default=4)
    args = parser.parse_args(arguments)
    cells: dict[str, dict[str, NDArray[np.float64]]] = {}
    for path in args.files:
        played = {rule: play(path, hurry, args.orders) for rule, hurry in RULES.items()}
        found = [answers for _, answers in played.values()]
        assert all(answers == found[0] for answers in found), f"{path}: what runs ahead changed an answer"
        cells[path.name] = {rule: costs for rule, (costs, _) in played.items()}
    report = {name: show(name, plays) for name, plays in cells.items()}
    report["pooled"] = show(
        "pooled", {rule: np.concatenate([plays[rule] for plays in cells.values()]) for rule in RULES}
    )
    close(report)


if __name__ == "__main__":
    main()
