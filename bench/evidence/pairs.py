"""Checks by fresh rollouts that the preferred one of two sibling steps is right more often.

Usage: ``python -m bench.evidence.pairs MODEL SOURCE ... --temperature .8 -o FILE.jsonl [--pairs 40]``

``SOURCE`` is what ``adascale export --from`` takes. Pairs are those of ``--to trl-preference`` in prose whose
continuations go on, of questions with known answers: one of each question, chosen by ``--seed`` before
anything is drawn. ``--draws`` solutions are drawn from both sides with random numbers that no search uses. A
pair is better, worse or a tie by how many of them are right; the share is of the pairs without ties, with
Wilson's 95 % interval. Pairs are appended as they are judged, and the same command goes on.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from adascale.cli.disk.sources import find_sources, read_sources
from adascale.engine.answers.equality import is_right
from adascale.engine.answers.extract import solution_answer
from adascale.engine.codec import build, to_plain
from adascale.engine.fitting.metrics import wilson
from adascale.engine.ports import BranchStart, Policy, Prefix
from adascale.engine.search.waiting import branch_seed
from adascale.engine.types import BranchId, Problem, Step
from adascale.export.filters import Filters
from adascale.export.formats import Labelling, WriteRequest, write_preferences
from adascale.export.sampled import Omission, SampledQuestion
from adascale.models.options import MAX_BRANCHES, SamplingOverrides, SessionOptions
from adascale.models.session import Session

from ..common import close, table
from . import recorded_draws

Tokenize = Callable[[str], Sequence[int]]

_NO_SEARCH = -1
"""A seed that no search has."""

_Z = 1.96
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Side:
    """One continuation: texts of the steps up to it, and P(right) as the source has it."""

    steps: tuple[str, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two continuations of one prefix."""

    problem: Problem
    chosen: Side
    rejected: Side


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Fresh solutions from one side.

    Attributes:
        probability: P(right) as the source has it.
        right: How many of them are right.
        answers: The answer of each; None without one.
    """

    probability: float
    right: int
    answers: tuple[str | None, ...]

    @property
    def share(self) -> float:
        """Share of right ones."""
        return self.right / len(self.answers)


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """The outcomes of a pair; ``problem`` is the id of its question."""

    problem: str
    chosen: Outcomes
    rejected: Outcomes


def pairs_of(question: SampledQuestion, filters: Filters, labelling: Labelling) -> Iterator[Pair]:
    """The rows of ``trl-preference`` whose continuations go on, with the steps on their way."""
    selected = filters.select(question.merged(), Counter())
    if selected is None:
        return
    steps = {
        selected.text(row): tuple(selected.nodes[at].text for at in selected.path(row))
        for row, node in enumerate(selected.nodes)
        if not node.ended
    }
    for row in write_preferences(WriteRequest(selected, labelling, "train")):
        if isinstance(row, Omission):
            continue
        chosen, rejected = row["chosen"][0]["content"], row["rejected"][0]["content"]
        if chosen in steps and rejected in steps:
            yield Pair(
                question.problem,
                Side(steps[chosen], row["p_chosen"]),
                Side(steps[rejected], row["p_rejected"]),
            )


def read_pairs(sources: Sequence[str], filters: Filters, labelling: Labelling) -> Iterator[Pair]:
    """The pairs of all questions that ``adascale export --from`` would read."""
    for question in read_sources(find_sources(sources), (), 0):
        if isinstance(question, SampledQuestion):
            yield from pairs_of(question, filters, labelling)


def choose_pairs(pairs: Iterable[Pair], count: int, seed: int) -> list[Pair]:
    """A random pair of each of ``count`` random questions, or of all where there are fewer."""
    by_question: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_question.setdefault(pair.problem.question, []).append(pair)
    rng = random.Random(seed)
    names = rng.sample(list(by_question), min(count, len(by_question)))
    return [rng.choice(by_question[name]) for name in names]


def draw_on(policy: Policy, starts: Sequence[tuple[Prefix, int]]) -> list[list[Step]]:
    """One solution from each prefix with its seed: the steps that were added."""
    added: list[list[Step]] = [[] for _ in starts]
    waiting, running = deque(enumerate(starts)), 0
    while waiting or running:
        while waiting and running < policy.slots:
            at, (prefix, seed) = waiting.popleft()
            policy.start(BranchId(at), BranchStart(prefix, seed, "answer", greedy=False))
            running += 1
        for growth in policy.advance():
            if growth.step is not None:
                added[growth.branch].append(growth.step)
                running -= growth.step.finish != "step"
    return added


def judge(policy: Policy, tokenize: Tokenize, pairs: Sequence[Pair], draws: int) -> list[JudgedPair]:
    """Draw so many solutions from both sides of each pair."""
    sides = [(pair.problem, side) for pair in pairs for side in (pair.chosen, pair.rejected)]
    starts = [
        (
            Prefix(problem, _known_steps(side, tokenize)),
            branch_seed(_NO_SEARCH, problem.id, (number % 2, draw)),
        )
        for number, (problem, side) in enumerate(sides)
        for draw in range(draws)
    ]
    for pair in pairs:
        policy.open(pair.problem, "prose")
    solutions = iter(draw_on(policy, starts))
    for pair in pairs:
        policy.close_problem(pair.problem)
    fresh = [_outcomes(problem, side, list(islice(solutions, draws))) for problem, side in sides]
    both = zip(pairs, fresh[::2], fresh[1::2], strict=True)
    return [JudgedPair(pair.problem.id, chosen, rejected) for pair, chosen, rejected in both]


def _known_steps(side: Side, tokenize: Tokenize) -> tuple[Step, ...]:
    return tuple(Step(text, tuple(tokenize(text)), 0.0, "step") for text in side.steps)


def _outcomes(problem: Problem, side: Side, solutions: Sequence[Sequence[Step]]) -> Outcomes:
    texts = ["".join([*side.steps, *(step.text for step in added)]) for added in solutions]
    answers = tuple(
        solution_answer(text, added[-1].finish) for text, added in zip(texts, solutions, strict=True)
    )
    assert problem.answer is not None, "only questions with known answers are read"
    right = sum(is_right(answer, gold=problem.answer) for answer in answers)
    return Outcomes(side.probability, right, answers)


def report(judged: Sequence[JudgedPair]) -> dict[str, Any]:
    """How often the chosen side is right more often, and by how much, and the gap in the source."""
    margins = [pair.chosen.right - pair.rejected.right for pair in judged]
    better, worse = sum(margin > 0 for margin in margins), sum(margin < 0 for margin in margins)
    decided = better + worse
    share = better / decided if decided else None
    low, high = wilson(share or 0.0, decided, _Z)
    return {
        "pairs": len(judged),
        "better": better,
        "ties": len(judged) - better - worse,
        "worse": worse,
        "share": None if share is None else round(share, 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "gap": round(fmean(pair.chosen.share - pair.rejected.share for pair in judged), 3),
        "gap_of_source": round(fmean(p.chosen.probability - p.rejected.probability for p in judged), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--temperature", type=float, required=True, help="of the source's draws")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--draws", type=int, default=4, help="from each side of a pair")
    parser.add_argument("--min-gap", type=float, default=0.3)
    parser.add_argument("--min-count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1, help="of the choice of pairs")
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    filters = Filters(known_answers=True, mode="prose", min_count=args.min_count)
    pairs = read_pairs(args.sources, filters, Labelling(min_gap=args.min_gap))
    chosen = choose_pairs(pairs, args.pairs, args.seed)
    lines = recorded_draws.lines(args.output) if args.output.exists() else []
    judged = [build(JudgedPair, line) for line in lines]
    done = {pair.problem for pair in judged}
    todo = [pair for pair in chosen if pair.problem.id not in done]
    sampling = SamplingOverrides(temperature=args.temperature)
    options = SessionOptions(args.model, sampling=sampling, branches=MAX_BRANCHES, purpose="rollouts")
    with Session(options) as session:
        tokenize = partial(session.model.tokenize, special=False)
        at_once = max(1, MAX_BRANCHES // (2 * args.draws))
        for first in range(0, len(todo), at_once):
            new = judge(session.policy, tokenize, todo[first : first + at_once], args.draws)
            recorded_draws.append(args.output, [to_plain(pair) for pair in new])
            judged += new
            print(f"{len(judged)}/{len(chosen)} pairs", flush=True)
    if not judged:
        parser.error("the sources hold no pair of steps that go on")
    figures = report(judged)
    table(list(figures), [[str(value) for value in figures.values()]])
    close({"model": args.model, "draws": args.draws, "seed": args.seed, **figures})


if __name__ == "__main__":
    main()
