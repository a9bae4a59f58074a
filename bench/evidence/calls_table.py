"""Calls of tools, rule beside rule on recorded draws, and weights of their number that are fitted on others.

Usage:
``python -m bench.evidence.calls_table table CALLS.jsonl DRAWS.jsonl.gz ...``
``python -m bench.evidence.calls_table fit CALLS.jsonl DRAWS.jsonl.gz``

``table`` plays each rule on the replies that ``tool_calls`` recorded, with the driver, the strategies and the
number that ship. Noise is the ECE that true probabilities would have on as many requests. A reply as a model
writes it is judged by the calls that are found in it, with the types that it wrote.
``fit`` prints the likeliest weights of requests for fitting, and the ECE of the number of those that
each of five fits left out.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from adascale.engine.answers.choosing import Candidate, FinishedSearch, choose
from adascale.engine.calibration import metrics
from adascale.engine.calibration.metrics import Predictions
from adascale.engine.calibration.options import OPTIONS
from adascale.engine.calibration.posterior import UNCALIBRATED, Posterior
from adascale.engine.kinds import kind_of
from adascale.engine.kinds.structured import CALL, NO
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.request import SearchRequest
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import SearchFinished
from adascale.engine.search.search import branch_seed
from adascale.engine.strategies import Greedy, Strategy, Vote
from adascale.engine.strategies.sampling import Agreement
from adascale.engine.tools.calls import Call, ToolRequest, find_calls
from adascale.engine.tools.equality import is_accepted
from adascale.engine.tools.schema import matches
from adascale.engine.types import Mode, NodeId, Problem, Step

from ..common import close, table
from ..scripted import ScriptedPolicy
from .tool_calls import SEED, Drawn, category, load, read_requests

SURE = 0.9
AGREEMENT = Agreement()
_FOLDS = 5
_CLOSE = 0.05
"""Weight of the distance from the weights before, for each request: a few cannot turn them."""


@dataclass(frozen=True, slots=True)
class Played:
    """A rule on one request.

    Attributes:
        right: Its calls are accepted.
        wanted: Some call is.
        tokens: Tokens that were generated.
        p: Its probability; None without one.
        breaks: It has a call that breaks the schema of its tool.
    """

    right: bool
    wanted: bool
    tokens: int
    p: float | None = None
    breaks: bool = False


Row = tuple[Problem, Drawn]


def joined(data: Path, drawn: Path) -> tuple[Mapping[str, Any], list[Row]]:
    """The header of some records, and each of them with its request."""
    known = {problem.id: problem for problem in read_requests(data)}
    header, records = load(drawn)
    return header, [(known[record["id"]], record) for record in records]


def as_written(problem: Problem, record: Drawn) -> Played:
    """The greedy reply without a grammar."""
    request = ToolRequest.of(problem.details)
    found = find_calls(record["written"]["text"], request.tools)
    given = [(each.name, {} if each.arguments is None else each.arguments) for each in found]
    breaks = any(not matches(arguments, request.tools[name].parameters) for name, arguments in given)
    calls = [Call(name, arguments) for name, arguments in given if isinstance(arguments, dict)]
    accepted: Any = problem.details["accepted"]
    right = len(calls) == len(given) and is_accepted(calls, accepted)
    return Played(right, bool(accepted), record["written"]["tokens"], breaks=breaks)


def played_back(
    problem: Problem, record: Drawn, mode: Mode, sampled: Sequence[Mapping[str, Any]]
) -> ScriptedPolicy:
    """A generator that gives the recorded replies of a mode; of another it knows the length alone."""

    def seeded(number: int) -> float:
        return random.Random(branch_seed(SEED, problem.id, (number,), mode)).random()

    by_seed = {seeded(at): reply for at, reply in enumerate(sampled)}

    def script(prefix: Prefix, rng: random.Random) -> Step:
        if prefix.mode != mode:
            return Step("", tuple(range(record["reply"])), 0.0, "stop")
        reply: Any = by_seed.get(rng.random(), record["greedy"])  # no other reply is asked for
        return Step(reply["text"], tuple(range(reply["tokens"])), reply["logprob"], reply["finish"])

    return ScriptedPolicy(script, logits=lambda asked: record["look"])


def play(rows: Sequence[Row], strategy: Strategy, posterior: Posterior) -> list[Played]:
    """A strategy on recorded replies, request by request."""
    return [_search(problem, record, strategy, posterior) for problem, record in rows]


def _search(problem: Problem, record: Drawn, strategy: Strategy, posterior: Posterior) -> Played:
    policy = played_back(problem, record, "call", record["calls"])
    driver = Driver(policy, SequenceLogprob(), {"call": posterior}, lambda: 0.0)
    settings = SearchRequest(strategy=strategy, seed=SEED).settings(problem)
    log = driver.run([kind_of(problem).for_search(problem)], settings)
    [end] = [event for _, event in log if isinstance(event, SearchFinished)]
    answer, confidence = end.result.answer, end.result.confidence
    right = kind_of(problem).is_right(problem, answer, None, None)
    p = None if confidence is None or not confidence.calibrated else confidence.median
    return Played(right, bool(problem.details["accepted"]), end.usage.generated_tokens, p)


def oracle(problem: Problem, record: Drawn) -> Played:
    """A right one among all replies that were drawn."""
    kind, replies = kind_of(problem), [record["greedy"], *record["calls"]]
    answers = [kind.answer(problem, "call", each["text"], each["finish"], None) for each in replies]
    right = any(kind.is_right(problem, answer, None, None) for answer in answers)
    return Played(right, bool(problem.details["accepted"]), sum(each["tokens"] for each in replies))


def rules(header: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, list[Played]]:
    """Every rule on every request."""
    posterior = Posterior.of_model("call", header["parameters"])
    most = header["samples"]
    return {
        "greedy, as written": [as_written(*row) for row in rows],
        "greedy, schema": play(rows, Greedy(), posterior),
        f"vote:{most}, schema": play(rows, Vote(samples=most), posterior),
        "agreement (medium)": play(rows, AGREEMENT, posterior),
        f"a right one of {most + 1}": [oracle(*row) for row in rows],
    }


def show(args: argparse.Namespace) -> None:
    """Print a table for each file, and of the rule that ships one by category."""
    figures: dict[str, Any] = {}
    head = ["n", "right", "calls", "no calls", "tokens", "broken", "ECE (noise)", f"p >= {SURE}", "of them"]
    for path in args.drawn:
        header, rows = joined(args.data, path)
        found = rules(header, rows)
        title = f"{header['model']}, {path.name.split('.')[0]}"
        shown = {name: _row(played) for name, played in found.items()}
        table([title, *head], [[name, *cells] for name, cells in shown.items()])
        kinds = sorted({category(problem.id) for problem, _ in rows})
        lines = [
            [name, *(_share(_of(played, rows, each)) for each in kinds)] for name, played in found.items()
        ]
        table([title, *kinds], lines)
        figures[path.name] = {
            "rules": shown,
            "categories": {name: dict(zip(kinds, cells, strict=True)) for name, *cells in lines},
        }
    close(figures)


def _of(played: Sequence[Played], rows: Sequence[Row], name: str) -> list[Played]:
    return [each for each, (problem, _) in zip(played, rows, strict=True) if category(problem.id) == name]


def _share(played: Sequence[Played]) -> str:
    return f"{fmean(each.right for each in played):.3f}" if played else "-"


def _row(played: Sequence[Played]) -> list[str]:
    error = 1.96 * math.sqrt(max(fmean(p.right for p in played) * fmean(not p.right for p in played), 0.0))
    known = [each for each in played if each.p is not None]
    level, sure = "-", []
    if len(known) == len(played):
        found = predictions(played)
        level = f"{metrics.ece(found):.3f} ({metrics.ece_floor(found):.3f})"
        sure = [each for each in known if each.p is not None and each.p >= SURE]
    return [
        str(len(played)),
        f"{_share(played)} +- {error / math.sqrt(len(played)):.3f}",
        _share([each for each in played if each.wanted]),
        _share([each for each in played if not each.wanted]),
        f"{fmean(each.tokens for each in played):.0f}",
        str(sum(each.breaks for each in played)),
        level,
        f"{len(sure) / len(played):.2f}",
        _share(sure),
    ]


def predictions(played: Sequence[Played]) -> Predictions:
    """Probabilities of what was chosen, and whether it is right."""
    p = np.array([each.p for each in played])
    right = np.array([float(each.right) for each in played])
    return Predictions(np.arange(len(p), dtype=np.int64), np.column_stack([p, p, p]), right, np.ones_like(p))


@dataclass(frozen=True, slots=True)
class State:
    """What a search knew after some replies, and which of its answers are right."""

    prefix: Prefix
    finished: FinishedSearch
    right: tuple[bool, ...]
    wanted: bool


def states(rows: Sequence[Row]) -> Iterator[list[State]]:
    """The states of each request: behind the greedy reply, two, and all of an effort."""
    for problem, record in rows:
        kind, replies = kind_of(problem), [record["greedy"], *record["calls"]]
        prefix = Prefix(problem, mode="call")
        estimate = UNCALIBRATED.estimate(prefix, 0.0)
        candidates = []
        for at, each in enumerate(replies):
            answer = kind.answer(problem, "call", each["text"], each["finish"], None)
            candidates.append(Candidate(NodeId(at + 1), answer, estimate, "call"))
        look = dict(zip((CALL, NO), record["look"], strict=True))
        own = []
        for count in (1, 2, AGREEMENT.samples):
            shown = [each for each in candidates[:count] if each.answer is not None]
            groups = choose(shown, "vote", kind.equality(problem)).groups
            right = tuple(kind.is_right(problem, group.answer, None, None) for group in groups)
            if groups:
                finished = FinishedSearch({}, tuple(candidates[:count]), groups, look)
                own.append(State(prefix, finished, right, bool(problem.details["accepted"])))
        yield own


def loss(posterior: Posterior, asked: Sequence[Sequence[State]]) -> float:
    """Mean negative log-probability of whether to call and of each answer."""
    total = 0.0
    for own in asked:
        for state in own:
            judged = posterior.judge(state.prefix, state.finished)
            assert judged.called is not None, "their options were read"
            total += _log_loss(judged.called, state.wanted) / len(own)
            for group, right in zip(state.finished.groups, state.right, strict=True):
                total += _log_loss(judged.revised[group.nodes[0]].median, right) / len(own)
    return total / len(asked)


def _log_loss(p: float, happened: bool) -> float:
    return -math.log(max(p if happened else 1.0 - p, 1e-6))


_OPTIONS = "trust", "lean", "overlap"
"""Weights of the option logits; the others are of the votes."""
_VOTES = "easier", "spread", "strength", "calls_right", "calls_wrong"
_POSITIVE, _SHARES = ("trust", "overlap", "spread", "strength"), ("calls_right", "calls_wrong")


def weights_of(posterior: Posterior) -> dict[str, float]:
    """Its weights by name."""
    options = {name: getattr(posterior.options, name) for name in _OPTIONS}
    return options | {name: getattr(posterior.votes, name) for name in _VOTES}


def _free(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights as numbers without bounds."""
    free = dict(weights)
    free |= {name: math.log(free[name]) for name in _POSITIVE}
    return free | {name: math.log(free[name] / (1.0 - free[name])) for name in _SHARES}


def _bound(free: Mapping[str, float], posterior: Posterior) -> Posterior:
    """The posterior with other weights."""
    assert posterior.options is not None, "calls have weights"
    bound: dict[str, Any] = dict(free)
    bound |= {name: math.exp(free[name]) for name in _POSITIVE}
    bound |= {name: 1.0 / (1.0 + math.exp(-free[name])) for name in _SHARES}
    options = replace(posterior.options, **{name: bound[name] for name in _OPTIONS})
    votes = replace(posterior.votes, **{name: bound[name] for name in _VOTES})
    return replace(posterior, options=options, votes=votes)


def descend(start: Mapping[str, float], cost: Callable[[Mapping[str, float]], float]) -> Mapping[str, float]:
    """The numbers that cost least, by steps along one of them after the other, halved where none helps."""
    best, least, step = start, cost(start), 0.8
    while step > 0.02:
        tried = [{**best, name: best[name] + sign * step} for name in best for sign in (1.0, -1.0)]
        found = min(tried, key=cost)
        if (cost_found := cost(found)) < least:
            best, least = found, cost_found
        else:
            step /= 2.0
    return best


def fit(posterior: Posterior, asked: Sequence[Sequence[State]]) -> Posterior:
    """The posterior with the likeliest weights, found from its own."""
    start = _free(weights_of(posterior))

    def cost(free: Mapping[str, float]) -> float:
        away = sum((free[name] - start[name]) ** 2 for name in start)
        return loss(_bound(free, posterior), asked) + _CLOSE * away / len(asked)

    return _bound(descend(start, cost), posterior)


def fit_and_check(args: argparse.Namespace) -> None:
    """Print the weights of all requests, and how true the number is where they were left out."""
    header, rows = joined(args.data, args.drawn)
    ships, asked = Posterior.of_model("call", header["parameters"]), [*states(rows)]
    start = replace(ships, options=OPTIONS["call"])
    weights = weights_of(fit(start, asked))
    held: list[Played] = []
    for fold in range(_FOLDS):
        others = [each for at, each in enumerate(asked) if at % _FOLDS != fold]
        held += play(rows[fold::_FOLDS], AGREEMENT, fit(start, others))
    shipped = play(rows, AGREEMENT, ships)
    head = [
        "",
        "n",
        "right",
        "calls",
        "no calls",
        "tokens",
        "broken",
        "ECE (noise)",
        f"p >= {SURE}",
        "of them",
    ]
    table(head, [["as it ships", *_row(shipped)], ["fitted, held out", *_row(held)]])
    rounded = {name: round(number, 3) for name, number in weights.items()}
    print(rounded)
    close({"model": header["model"], "requests": len(rows), "weights": rounded, "held_out": _row(held)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    showing = commands.add_parser("table")
    showing.add_argument("data", type=Path)
    showing.add_argument("drawn", type=Path, nargs="+")
    showing.set_defaults(run=show)
    fitting = commands.add_parser("fit")
    fitting.add_argument("data", type=Path)
    fitting.add_argument("drawn", type=Path)
    fitting.set_defaults(run=fit_and_check)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
