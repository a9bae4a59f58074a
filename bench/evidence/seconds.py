"""Rules on recorded draws, in seconds that a person waits, by the cost of a decode step on a machine.

Usage: ``python -m bench.evidence.seconds FILE.jsonl.gz ... [--curve amx|avx|zen4|gpu|metal|measured]
[--without-fit] [--orders 24] [--json]``

Each file is a cell: one model on one set of questions (``recorded_draws``). Every rule draws the same
solutions; those of a search run in lock step and count as they finish. ``adaptive`` has the schedule that is
best on the machine, or that of ``--schedule``; the votes run all at once, and "one after another" is a lead
of two in both modes at a width of one, with wrong sums drawn again. Step costs are those of ``curves.json``,
or ``measured`` here. ``--without-fit`` judges and searches as models that nobody fitted do. ``easy`` is the
median, on questions whose greedy solution is right, of the seconds over those of the greedy solution;
``first`` that of the seconds to the first answer, on all questions, beside how often it is right and how
often it stays.
Intervals are 95 %, paired, over questions that are drawn again within each cell (2,000 rounds).
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.request import Request, Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import AnswerFound
from adascale.engine.search.record import Record, right_nodes
from adascale.engine.strategies import Adaptive, Greedy, Strategy, Vote
from adascale.engine.strategies.base import REDRAWS
from adascale.engine.types import Estimate, Mode, Problem, Schedule
from adascale.models.llama.stepcost import StepCosts
from adascale.models.options import SessionOptions
from adascale.models.session import Session

from ..baselines import Margin
from ..common import close, table
from ..metrics import auc, ece
from . import recorded_draws
from .calibration_check import Rows, predictions

Array = NDArray[np.float64]

CURVES = Path(__file__).with_name("curves.json")
ROUNDS = 2000
QUANTILES = 0.025, 0.5, 0.975
RIGHT, TOKENS, SECONDS, FIRST, FIRST_RIGHT, FIRST_STAYS = range(6)
OURS, BESIDE = "adaptive", "vote:16/both"
MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to search, and its schedule; None for that of the machine."""

    strategy: Strategy
    schedule: Schedule | None = None


def rules_of(modes: tuple[Mode, ...]) -> dict[str, Rule]:
    """The rules of a table, by name."""
    return {
        "greedy": Rule(Greedy(modes=("prose",)), Schedule.even(1)),
        "vote:4/both": Rule(Vote(4, modes=modes), Schedule.even(4)),
        "vote:8/both": Rule(Vote(8, modes=modes), Schedule.even(8)),
        BESIDE: Rule(Vote(16, modes=modes), Schedule.even(16)),
        "one after another": Rule(Margin(modes=modes, redraws=REDRAWS), Schedule.even(1)),
        OURS: Rule(Adaptive(modes=modes)),
    }


@dataclass(frozen=True, slots=True)
class Cell:
    """One file.

    Attributes:
        results: By rule, ``[questions, 6]``: share right, tokens, seconds; seconds of the first answer, share
            of it that is right and that stays; means over orders.
        answers: By rule, the probability of each answer, with its outcome.
        schedule: That of ``adaptive``.
    """

    results: Mapping[str, Array]
    answers: Mapping[str, Rows]
    schedule: Schedule

    @property
    def over_greedy(self) -> dict[str, Array]:
        """Seconds over those of greedy of each rule, on questions that greedy solves."""
        greedy = self.results["greedy"]
        easy = greedy[:, RIGHT] > 0.5
        return {name: found[easy, SECONDS] / greedy[easy, SECONDS] for name, found in self.results.items()}

    @property
    def first_over_greedy(self) -> dict[str, Array]:
        """Seconds of the first answer over those of greedy of each rule, on all questions."""
        greedy = self.results["greedy"][:, SECONDS]
        return {name: found[:, FIRST] / greedy for name, found in self.results.items()}


@functools.cache
def curve_of(name: str, model: str) -> StepCosts:
    """Cost of a decode step of a model: one of the file of curves, or as this machine has it now."""
    if name == MEASURED:
        with Session(SessionOptions(model, branches=Adaptive().samples)) as session:
            costs = session.step_costs
        assert not costs.is_rough, "the machine was too busy to be measured"
        return costs
    curve = json.loads(CURVES.read_text())[name][model.rpartition("-")[2]]
    return StepCosts({int(size): float(seconds) for size, seconds in curve.items()})


def play(
    path: Path, curve_name: str, orders: int, *, fitted: bool = True, schedule: Schedule | None = None
) -> Cell:
    """Play every rule on every question of a file, in as many orders."""
    header, _ = recorded_draws.load(path)
    curve = curve_of(curve_name, header["model"])
    prior = Posterior(prior=recorded_draws.expected_rate(header))
    replay = recorded_draws.replay_driver(path, orders, calibrator=None if fitted else prior, curve=curve)
    modes: tuple[Mode, ...] = ("prose", "program") if fitted else ("program", "prose")
    schedule = schedule or curve.best_schedule(Adaptive().samples)
    results, answers = dict[str, Array](), dict[str, Rows]()
    for name, rule in rules_of(modes).items():
        strategy = recorded_draws.within(rule.strategy, header)
        rows: Rows = []
        found = np.zeros((len(replay.problems), 6))
        for order, (question, problem) in itertools.product(range(orders), enumerate(replay.problems)):
            seed = header["seed"] + order
            settings = Settings(strategy, seed=seed, schedule=rule.schedule or schedule)
            figures, p = search(replay.driver, problem, settings)
            found[question] += figures
            if p is not None and p.calibrated:
                rows.append((question, (p.lower, p.median, p.upper), bool(figures[RIGHT]), 1))
        results[name], answers[name] = found / orders, rows
    return Cell(results, answers, schedule)


def search(driver: Driver, problem: Problem, settings: Settings) -> tuple[tuple[float, ...], Estimate | None]:
    """The six figures of one search, and the estimate of its answer."""
    log = [event for _, event in driver.serve([Request(problem, settings)])]
    record = Record.of(log)
    right, result = right_nodes(record, problem), record.result
    assert result is not None, "recorded searches do not fail"
    ended = [each for each in log if isinstance(each, AnswerFound) and each.answer is not None]
    first = ended[0] if ended else None
    figures = (
        result.best in right,
        record.usage.generated_tokens,
        record.t,
        first.t if first is not None else record.t,
        first is not None and first.node in right,
        first is not None and first.node in record.leading,
    )
    return tuple(map(float, figures)), record.confidence if record.answer is not None else None


def report(cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """Figures of each rule, every question counting alike."""
    rng = np.random.default_rng(0)
    again = [
        [rng.integers(0, len(cell.results[OURS]), len(cell.results[OURS])) for cell in cells]
        for _ in range(ROUNDS)
    ]
    found: dict[str, dict[str, Any]] = {}
    for name in cells[0].results:
        accuracy, tokens, seconds, _, first_right, first_stays = _mean(cells, name)
        pairs = [(_mean(cells, OURS, rows), _mean(cells, name, rows)) for rows in again]
        gains = [ours[RIGHT] - theirs[RIGHT] for ours, theirs in pairs]
        shares = [ours[SECONDS] / theirs[SECONDS] for ours, theirs in pairs]
        ratios = np.concatenate([cell.over_greedy[name] for cell in cells])
        answers: Rows = []
        for number, cell in enumerate(cells):  # questions of other cells are other questions
            answers += [(row[0] + number * 10_000, *row[1:]) for row in cell.answers[name]]
        judged = predictions(answers) if answers else None
        found[name] = {
            "accuracy": accuracy,
            "tokens": tokens,
            "seconds": seconds,
            "over_greedy_median": float(np.median(ratios)),
            "first_over_greedy_median": float(
                np.median(np.concatenate([cell.first_over_greedy[name] for cell in cells]))
            ),
            "first_right": first_right,
            "first_stays": first_stays,
            "ece": None if judged is None else float(ece(judged)),
            "auc": None if judged is None else float(auc(judged)),
            "adaptive_gains": np.quantile(gains, QUANTILES).tolist(),
            "adaptive_seconds_share": np.quantile(shares, QUANTILES).tolist(),
        }
    return found


def _mean(cells: Sequence[Cell], name: str, rows: Sequence[NDArray[np.int64]] | None = None) -> Array:
    """``[6]`` means of a rule over all questions, or over chosen ones of each cell."""
    rows = rows or [np.arange(len(cell.results[name])) for cell in cells]
    parts = [cell.results[name][chosen] for cell, chosen in zip(cells, rows, strict=True)]
    means: Array = np.concatenate(parts).mean(axis=0)
    return means


def show(title: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """A table for people."""
    print(f"\n{title}")
    table(
        [
            "rule",
            "accuracy",
            "tokens",
            "seconds",
            "easy",
            "first; right; stays",
            "ECE",
            "AUC",
            "adaptive is better by",
            "of its seconds",
        ],
        [
            [
                name,
                f"{row['accuracy']:.3f}",
                f"{row['tokens']:,.0f}",
                f"{row['seconds']:.1f}",
                f"{row['over_greedy_median']:.2f}",
                f"{row['first_over_greedy_median']:.2f}; {row['first_right']:.3f}; {row['first_stays']:.3f}",
                "" if row["ece"] is None else f"{row['ece']:.3f}",
                "" if row["auc"] is None else f"{row['auc']:.3f}",
                _interval(row["adaptive_gains"], "+"),
                _interval(row["adaptive_seconds_share"], ""),
            ]
            for name, row in found.items()
        ],
    )


def _interval(quantiles: Sequence[float], sign: str) -> str:
    low, middle, high = quantiles
    return f"{middle:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--curve", default="amx", choices=[*json.loads(CURVES.read_text()), MEASURED])
    parser.add_argument("--without-fit", action="store_true")
    parser.add_argument("--orders", type=int, default=24)
    parser.add_argument("--schedule", help="NARROW,WIDE in the place of the machine's")
    parser.add_argument("--json", action="store_true", help="print nothing but JSON")
    args = parser.parse_args()
    schedule = Schedule(*map(int, args.schedule.split(","))) if args.schedule else None
    cells = {
        path.name.removesuffix(".jsonl.gz"): play(
            path, args.curve, args.orders, fitted=not args.without_fit, schedule=schedule
        )
        for path in args.files
    }
    pooled = report(list(cells.values()))
    of_cells = {name: report([cell]) for name, cell in cells.items()}
    schedules = {name: [cell.schedule.narrow, cell.schedule.wide] for name, cell in cells.items()}
    found = {"pooled": pooled, "cells": of_cells, "schedules": schedules}
    if args.json:
        print(json.dumps(found))
        return
    show(f"pooled, curve {args.curve}", pooled)
    for name, each in of_cells.items():
        show(f"{name}, schedule {schedules[name]}", each)
    close(found)


if __name__ == "__main__":
    main()
