"""Makes the report of ``bench.eval`` from recorded solutions: in seconds, without a model.

Usage: ``python -m bench.evidence.frontier FILE.jsonl.gz [--strategies vote:16,adaptive] [--set KEY=N] ...``

``--set`` changes a parameter of the strategies that have it. ``--orders K`` plays the samples in K orders
and takes means: a strategy that stops early is measured with less noise.

Strategies that draw whole solutions only; figures are those of ``bench.eval`` on the same draws, up to the
four digits of the recorded estimates.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from adascale.engine.codec import to_plain
from adascale.engine.request import SearchRequest

from ..baselines import register_baselines
from ..common import close, table
from ..evaluation.compare import Comparison, markdown
from ..evaluation.evaluate import Contestant, Outcome, evaluate, parse_contestants
from . import recorded_draws

DEFAULT = "greedy,vote:1,vote:4,vote:8,vote:16,best-of-n:16,best-of-n:16+n,adaptive"


NEARLY_SURE = 0.9
"""Probability of an answer; of the answers at or above it at least this share should be right."""


def nearly_sure(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """By contestant: answers that are nearly sure, and the share of them that are right."""
    right: dict[str, list[bool]] = {}
    for each in outcomes:
        if (
            each.confidence is not None
            and each.confidence.calibrated
            and each.confidence.median >= NEARLY_SURE
        ):
            right.setdefault(each.entry, []).append(each.right)
    return {name: [str(len(found)), f"{fmean(found):.3f}"] for name, found in right.items()}


def numbers(settings: Sequence[str]) -> dict[str, Any]:
    """``NAME=NUMBER`` as fields; a whole number stays one."""
    pairs = (setting.split("=") for setting in settings)
    return {name: int(value) if value.isdecimal() else float(value) for name, value in pairs}


def contestants_of(text: str, header: Mapping[str, Any], settings: Sequence[str] = ()) -> list[Contestant]:
    """The contestants, with as many samples as were recorded; strategies take the settings that they have."""
    request = SearchRequest(samples=header["samples"])
    changes = numbers(settings)
    return [
        replace(
            each, strategy=each.strategy.changed(**{n: v for n, v in changes.items() if each.strategy.has(n)})
        )
        for each in parse_contestants(text, request)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--strategies", default=DEFAULT)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--orders", type=int, default=1, help="play the samples in as many orders")
    parser.add_argument("--calibration", type=Path, help="the file that the estimates were made with")
    args = parser.parse_args()
    register_baselines()
    header, driver, problems, _ = recorded_draws.replay_driver(
        args.file, args.orders, calibration=args.calibration
    )
    contestants = [
        replace(each, strategy=recorded_draws.within(each.strategy, header))
        for each in contestants_of(args.strategies, header, args.set)
    ]
    found = Comparison(contestants, [problem.id for problem in problems])
    outcomes = list(evaluate(driver, contestants, problems, args.orders, header["seed"]))
    for outcome in outcomes:
        found.add(outcome)
    report, described = found.report(), recorded_draws.description(header)
    print(markdown(report))
    table(
        [f"answers of p >= {NEARLY_SURE}", "searches", "right"],
        [[name, *cells] for name, cells in nearly_sure(outcomes).items()],
    )
    close({**described, **to_plain(report)})


if __name__ == "__main__":
    main()
