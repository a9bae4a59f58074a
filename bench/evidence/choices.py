"""Questions with options: what a look at them is worth, which ships, and what solutions would add.

Usage:
``python -m bench.evidence.choices draw MODEL DATA.jsonl OUT.jsonl --questions 150 --samples 8``
``python -m bench.evidence.choices table MODEL DRAWN.jsonl ...``

``draw`` looks at each question in two orders, and writes a greedy solution and ``--samples`` others; the same
command goes on where it was stopped. ``table`` plays rules on what was drawn, with the weights of a model
that were fitted on other questions; a file without solutions has the rows of looks alone. Noise is
the ECE that true probabilities would have on as many questions.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import fmean
from typing import Any

from adascale.engine.calibration.options import OWN_OPTIONS, OptionWeights
from adascale.engine.kinds import kind_of
from adascale.engine.request import Settings
from adascale.engine.search.record import Record
from adascale.engine.strategies import Greedy, Strategy, Vote
from adascale.engine.types import Problem
from adascale.models.files.catalog import catalog
from adascale.models.options import SessionOptions
from adascale.models.questions import read_known
from adascale.models.session import Session

from ..common import Played, append, close, judged, kept_lines, level, read_lines, share, table
from ..kept_draws import DrawStore, ReplayingPolicy
from ..metrics import auc

AT_ONCE = 32


def draw(args: argparse.Namespace) -> None:
    """Draw what the output lacks, 32 questions at a time."""
    [problems] = read_known([args.data])
    done = {record["id"] for record in kept_lines(args.out)}
    todo = [problem for problem in problems[: args.questions] if problem.id not in done]
    options = SessionOptions(
        args.model, calibration="none", branches=AT_ONCE, threads=args.threads, purpose="replay"
    )
    with Session(options) as session, closing(DrawStore.of(session, problems[0].kind)) as store:
        for at in range(0, len(todo), AT_ONCE):
            chunk = todo[at : at + AT_ONCE]
            began = time.monotonic()
            records = [*_records(session, store, chunk, args.samples)]
            append(args.out, *records)
            print(f"{len(records)} more, {time.monotonic() - began:.0f} s", flush=True)


def _records(
    session: Session, store: DrawStore, problems: Sequence[Problem], samples: int
) -> Iterator[dict[str, Any]]:
    policy = ReplayingPolicy.of(session, store)
    looks = {
        each.id: [policy.option_logits(asked, each) for asked in kind_of(each).option_prompts(each)]
        for each in problems
    }
    drawn = _solutions(session, store, problems, Vote(samples=samples)) if samples else {}
    greedy = _solutions(session, store, problems, Greedy()) if samples else {}
    for each in problems:
        yield {
            "id": each.id,
            "kind": each.kind,
            "right": kind_of(each).options(each).index(_right(each)),
            "has_text": each.has_text,
            "looks": [seen.log_probs for seen in looks[each.id]],
            "look_tokens": sum(seen.evaluated_tokens for seen in looks[each.id]),
            **({"greedy": greedy[each.id][0], "solutions": drawn[each.id]} if samples else {}),
        }


def _right(problem: Problem) -> str:
    kind = kind_of(problem)
    return next(name for name in kind.options(problem) if kind.is_right(problem, name, None, None))


def _solutions(
    session: Session, store: DrawStore, problems: Sequence[Problem], strategy: Strategy
) -> dict[str, list[dict[str, Any]]]:
    """Solutions of each question in drawing order, with the place of the option that each has chosen."""
    policy = ReplayingPolicy.of(session, store)
    driver = session.driver(lambda: 0.0, policy)
    records: dict[str, Record] = {}
    for problem, event in driver.run(problems, Settings(strategy, seed=1), AT_ONCE):
        records[problem.id] = Record.after(records.get(problem.id), event)
    found = {}
    for problem in problems:
        record = records[problem.id]
        names = kind_of(problem).options(problem)
        ends = sorted(record.candidates, key=lambda each: record.tree.draw_order(each.node))
        found[problem.id] = [
            {
                "option": None if each.answer is None else names.index(each.answer),
                "tokens": sum(len(step.token_ids) for step in record.tree.steps(each.node)),
                "text": record.tree.text(each.node),
            }
            for each in ends
        ]
    return found


def play(record: Mapping[str, Any], weights: OptionWeights) -> dict[str, Played]:
    """Every rule on a question."""
    right, looks = record["right"], record["looks"]
    if weights.without_text is not None and not record.get("has_text", True):
        weights = weights.without_text
    mean = [fmean(column) for column in zip(*looks, strict=True)]

    def leading(p: Sequence[float], tokens: int) -> Played:
        return Played(p.index(max(p)) == right, max(p), tokens)

    found = {
        "first order read": leading(weights.prior(looks[0]), 0),
        "both orders read": leading(weights.prior(mean), 0),
    }
    if "greedy" not in record:
        return found
    greedy, solutions = record["greedy"], record["solutions"]
    found["greedy prose"] = Played(greedy["option"] == right, None, greedy["tokens"])
    counts = Counter(each["option"] for each in solutions if each["option"] is not None)
    [(voted, votes)] = counts.most_common(1) or [(None, 0)]
    tokens = sum(each["tokens"] for each in solutions)
    found[f"vote:{len(solutions)}"] = Played(voted == right, votes / len(solutions), tokens)
    return found


def show(args: argparse.Namespace) -> None:
    """Print a table for each file."""
    known = OWN_OPTIONS[catalog()[args.model].sha256]
    played: dict[str, list[Mapping[str, Played]]] = {}
    for path in args.drawn:
        records = read_lines(path)
        weights = known[records[0]["kind"]]
        played[path.stem] = [play(record, weights) for record in records]
    played["all of them"] = [each for questions in played.values() for each in questions]
    figures = {}
    for title, questions in played.items():
        rules = {rule: None for each in questions for rule in each}
        rows = {rule: _row([each[rule] for each in questions if rule in each]) for rule in rules}
        table(
            [title, "n", "right", "tokens", "ECE (noise)", "AUC", "p >= .8", "of them right"],
            [[rule, *row] for rule, row in rows.items()],
        )
        figures[title] = rows
    close(figures)


def _row(found: Sequence[Played]) -> list[str]:
    right = fmean(each.right for each in found)
    known = [(each.p, each.right) for each in found if each.p is not None]
    sure = [good for p, good in known if p >= 0.8]
    return [
        str(len(found)),
        f"{right:.3f} +- {1.96 * math.sqrt(right * (1 - right) / len(found)):.3f}",
        f"{fmean(each.tokens for each in found):.0f}",
        level(known),
        f"{auc(judged(known)):.2f}" if known else "-",
        str(len(sure)),
        share(sure),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("model")
    drawing.add_argument("data", type=Path)
    drawing.add_argument("out", type=Path)
    drawing.add_argument("--questions", type=int, default=150)
    drawing.add_argument("--samples", type=int, default=8)
    drawing.add_argument("--threads", type=int)
    drawing.set_defaults(run=draw)
    showing = commands.add_parser("table")
    showing.add_argument("model")
    showing.add_argument("drawn", type=Path, nargs="+")
    showing.set_defaults(run=show)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
