"""Questions of daily life, asked as a person types them: who answers how many, how surely and how fast.

Usage: ``python -m bench.evidence.everyday QUESTIONS.jsonl -m MODEL [--strategies greedy,vote:8,adaptive]
[--curve amx|avx|gpu|metal|measured] [-o OUTCOMES.jsonl]``

Each question has ``question``, ``answer`` and ``subject``. Its kind is recognised as ``ask`` recognises it,
and every strategy has the modes, prompts and calibration of that kind. All play on the same draws, which are
kept, so the same command goes on. Seconds are those of a question alone, by the step costs of ``--curve``.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

from adascale.engine.request import SearchRequest
from adascale.engine.strategies import Adaptive
from adascale.engine.types import KindName, Problem, probability_of
from adascale.models.llama.stepcost import StepCosts
from adascale.models.options import SessionOptions
from adascale.models.session import Session

from ..common import append, close, read_lines, table
from ..evaluation.evaluate import Outcome, evaluate, parse_contestants
from ..kept_draws import DrawStore, ReplayingPolicy
from ..metrics import ece, ece_floor
from .calibration_check import predictions
from .frontier import NEARLY_SURE
from .seconds import CURVES, MEASURED, curve_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as ``ask`` takes it, and its subject."""

    problem: Problem
    subject: str


def read(path: Path) -> list[Asked]:
    """The questions of a file, each of the kind that is recognised."""
    return [
        Asked(
            replace(SearchRequest(question=each["question"]).problem(each["id"]), answer=each["answer"]),
            each["subject"],
        )
        for each in read_lines(path)
    ]


def search(
    session: Session, asked: Sequence[Asked], strategies: str, curve: StepCosts, seed: int
) -> Iterator[Outcome]:
    """Outcomes of every strategy, kind by kind."""

    def seconds(branches: int) -> float:
        return curve.cheapest(branches)[0]

    by_kind: dict[KindName, list[Problem]] = defaultdict(list)
    for each in asked:
        by_kind[each.problem.kind].append(each.problem)
    for kind, problems in by_kind.items():
        contestants = parse_contestants(strategies, SearchRequest(), kind)
        with closing(DrawStore.of(session, kind)) as store:
            driver = session.driver(lambda: 0.0, ReplayingPolicy(session.policy, store, seconds))
            schedule = curve.best_schedule(Adaptive().samples)
            yield from evaluate(
                driver, contestants, problems, 1, seed, modes=session.modes, schedule=schedule
            )
        print(f"{kind}: {len(problems)}", flush=True)


def figures(outcomes: Sequence[Outcome], greedy: Mapping[str, Outcome]) -> dict[str, float | int | None]:
    """Figures of one strategy.

    Args:
        outcomes: Outcomes of its searches.
        greedy: Outcome of one greedy answer, by question.
    """
    known = [(each, p) for each in outcomes if (p := probability_of(each.confidence)) is not None]
    sure = [each.right for each, p in known if p >= NEARLY_SURE]
    judged = predictions([(at, (p, p, p), each.right, 1) for at, (each, p) in enumerate(known)])
    return {
        "right": sum(each.right for each in outcomes),
        "questions": len(outcomes),
        "tokens": fmean(each.usage.generated_tokens for each in outcomes),
        "seconds": median(each.usage.seconds for each in outcomes),
        "over_greedy": median(
            each.usage.seconds / max(greedy[each.problem].usage.seconds, 1e-9) for each in outcomes
        ),
        "ece": float(ece(judged)) if known else None,
        "noise": float(ece_floor(judged)) if known else None,
        "sure": len(sure),
        "sure_right": sum(sure),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--model", "-m", default="qwen2.5-coder-1.5b")
    parser.add_argument("--strategies", default="greedy,vote:8,adaptive")
    parser.add_argument("--curve", default="amx", choices=[*json.loads(CURVES.read_text()), MEASURED])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", "-o", type=Path, help="outcomes of the last strategy, for bands")
    parser.add_argument("--show", action="store_true", help="also each question that a strategy gets wrong")
    args = parser.parse_args()
    asked = read(args.questions)
    with Session(SessionOptions(args.model, branches=32, purpose="replay")) as session:
        curve = session.step_costs if args.curve == MEASURED else curve_of(args.curve, args.model)
        found = [*search(session, asked, args.strategies, curve, args.seed)]
    names = list(dict.fromkeys(each.entry for each in found))
    by_name = {name: {each.problem: each for each in found if each.entry == name} for name in names}
    subjects = list(dict.fromkeys(each.subject for each in asked))
    of = {subject: [each.problem.id for each in asked if each.subject == subject] for subject in subjects}
    rows = [
        [subject, str(len(ids)), *(str(sum(by_name[name][id_].right for id_ in ids)) for name in names)]
        for subject, ids in of.items()
    ]
    table(["right", "questions", *names], rows)
    greedy = by_name[names[0]]
    result = {name: figures([*by_name[name].values()], greedy) for name in names}
    table(
        ["all", "right", "tokens", "seconds", f"over {names[0]}", "ECE (noise)", ">= .9, right"],
        [
            [
                name,
                f"{each['right']} of {each['questions']}",
                f"{each['tokens']:,.0f}",
                f"{each['seconds']:.1f}",
                f"{each['over_greedy']:.2f}",
                "" if each["ece"] is None else f"{each['ece']:.3f} ({each['noise']:.3f})",
                f"{each['sure']}, {each['sure_right']}",
            ]
            for name, each in result.items()
        ],
    )
    if args.out is not None:
        ours = by_name[names[-1]]
        args.out.write_text("", encoding="utf-8")
        for one in asked:
            outcome = ours[one.problem.id]
            kept = {"id": one.problem.id, "model": args.model, "kind": one.problem.kind}
            append(args.out, kept | {"p": probability_of(outcome.confidence), "right": outcome.right})
    if args.show:
        for one in asked:
            missed = [name for name in names if not by_name[name][one.problem.id].right]
            if missed:
                chance = by_name[names[-1]][one.problem.id].confidence
                print(one.problem.id, one.problem.kind, missed, chance and round(chance.median, 2))
    close({"model": args.model, **result})


if __name__ == "__main__":
    main()
