"""The time left and how likely the answer stays, as a running search shows them, beside what came.

Usage: ``python -m bench.evidence.time_left bench/draws/votes-*.jsonl.gz [--curve zen4] [--orders 4]``

Every recorded question is searched as ``ask`` searches it, by the schedule that is best on the curve. After
each solution that ends the screen says how many of ten such answers stay, and from the second on about how
many seconds are left. ``true / shown`` are the quartiles of the seconds that it took from there over those
that were shown; ``stays`` is the share of leading answers that are the last one too. Rows are moments by
their number of solutions, by the answer's probability, and by the share that is shown to stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from adascale.cli.render.state import ViewState
from adascale.engine.request import Request, Settings
from adascale.engine.strategies import Adaptive
from adascale.engine.types import probability_of

from ..common import close, judged, table
from ..metrics import auc
from . import recorded_draws
from .seconds import CURVES, curve_of

QUARTILES = 0.25, 0.5, 0.75
SOLUTIONS = (1, 2), (2, 3), (3, 5), (5, 9), (9, 17)
SHARES = tuple((low / 10, (low + 1) / 10) for low in range(10))


@dataclass(frozen=True, slots=True)
class Moment:
    """A search after a solution, before its end.

    Attributes:
        solutions: Number of solutions that have ended.
        p: Probability of the leading answer; None without one.
        shown: Seconds that are shown to be left; None after the first solution.
        stay: Probability that the answer stays, as it is shown; None without an answer.
        seconds: Seconds that are left.
        stays: The leading answer is the last one.
    """

    solutions: int
    p: float | None
    shown: float | None
    stay: float | None
    seconds: float
    stays: bool


def moments(path: Path, curve_name: str, orders: int) -> Iterator[Moment]:
    """All moments of the searches of a file."""
    header, _ = recorded_draws.load(path)
    curve = curve_of(curve_name, header["model"])
    replay = recorded_draws.replay_driver(path, orders, curve=curve)
    strategy, schedule = recorded_draws.adaptive(header), curve.best_schedule(Adaptive().samples)
    for order in range(orders):
        settings = Settings(strategy, seed=header["seed"] + order, schedule=schedule)
        for problem in replay.problems:
            yield from _of_search([event for _, event in replay.driver.serve([Request(problem, settings)])])


def _of_search(log: Sequence[Any]) -> Iterator[Moment]:
    """The moments of one search; one is over when time goes on, since until then more may begin or end."""
    end = ViewState.of(log)
    state: ViewState | None = None
    for event, following in pairwise(log):
        state = ViewState.after(state, event)
        if state.finished and state.judged == event.t < following.t:
            left, stays = state.seconds_left, state.answer == end.answer
            p, shown = probability_of(state.confidence), None if left is None else left[0]
            yield Moment(state.finished, p, shown, state.stay, end.t - event.t, stays)


def row(found: Sequence[Moment]) -> dict[str, Any]:
    """Figures of some moments."""
    ratios = [each.seconds / each.shown for each in found if each.shown]
    answered = [each for each in found if each.stay is not None]
    return {
        "moments": len(found),
        "quartiles": np.quantile(ratios, QUARTILES).tolist() if ratios else None,
        "stays": float(np.mean([each.stays for each in answered])) if answered else None,
        "shown": float(np.mean([each.stay or 0.0 for each in answered])) if answered else None,
    }


def report(found: Sequence[Moment]) -> dict[str, dict[str, Any]]:
    """Figures of all moments, and of those alike."""
    rows = {"all": row(found)}
    for least, above in SOLUTIONS:
        name = f"{least}" if above == least + 1 else f"{least} to {above - 1}"
        rows[f"{name} solutions"] = row([each for each in found if least <= each.solutions < above])
    for low, high in SHARES:
        rows[f"p {low} to {high}"] = row([each for each in found if each.p and low <= each.p < high])
    answered = [each for each in found if each.stay is not None]
    for low, high in SHARES:
        rows[f"shown {low} to {high}"] = row([each for each in answered if low <= (each.stay or 0.0) < high])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--curve", default="zen4", choices=[*json.loads(CURVES.read_text())])
    parser.add_argument("--orders", type=int, default=4)
    args = parser.parse_args()
    found = [moment for path in args.files for moment in moments(path, args.curve, args.orders)]
    rows = {name: each for name, each in report(found).items() if each["moments"]}
    table(
        ["moments", "number", "true / shown: quarter, median, three quarters", "stays", "shown"],
        [
            [
                name,
                f"{each['moments']:,}",
                "; ".join(f"{ratio:.2f}" for ratio in each["quartiles"] or ()),
                "" if each["stays"] is None else f"{each['stays']:.2f}",
                "" if each["shown"] is None else f"{each['shown']:.2f}",
            ]
            for name, each in rows.items()
        ],
    )
    known = [(each.stay, each.stays) for each in found if each.stay is not None]
    print(f"AUC of the share that is shown: {auc(judged(known)):.3f}")
    close({"auc": float(auc(judged(known))), **rows})


if __name__ == "__main__":
    main()
