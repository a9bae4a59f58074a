"""When ``passing`` should give a code task up: its search, played back at several values of ``hopeless``.

    python -m bench.evidence.giving_up ~/.local/share/adascale/rollouts/STORE.sqlite mbpp-fit-mixed.jsonl

The store has the programs that ``adascale calibrate fit`` drew of the tasks. Nothing is generated: a search
takes the program with the highest mean log-probability first, for the greedy one, and the others in a random
order, ``--orders`` of them. The estimate of a task is that of heads that were fitted without it. A task
is called hopeless where none of its programs is right.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from adascale.engine.fitting.calibration import fit_calibration
from adascale.engine.fitting.head import HeadConfig
from adascale.engine.fitting.report import report
from adascale.engine.kinds import kind_of
from adascale.engine.strategies.allocation import chance_of_success
from adascale.engine.types import Estimate
from adascale.models.calibration.rollouts import RolloutNode, Rollouts, RolloutStore
from adascale.models.calibration.training import code_training_set
from adascale.models.question_sets import choose_questions, read_known

from ..common import close, table

LIMITS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True, slots=True)
class Program:
    """A program: its tokens, whether it passes the given tests, and whether it is right."""

    tokens: int
    passes: bool
    right: bool


@dataclass(frozen=True, slots=True)
class Search:
    """How a search ended: whether its answer is right, its tokens, and the programs that it drew."""

    right: bool
    tokens: int
    programs: int


@dataclass(frozen=True, slots=True)
class Task:
    """The greedy program, the others, and P(a program is right) before the first one."""

    greedy: Program
    others: Sequence[Program]
    estimate: Estimate

    @classmethod
    def of(cls, rollouts: Rollouts, estimate: Estimate) -> Task:
        """The programs of a task, the likeliest one as the greedy one."""
        nodes = [rollouts.nodes[row] for row in rollouts.samples()]
        likeliest = max(nodes, key=lambda node: node.logprob / len(node.token_ids))
        tests = len(kind_of(rollouts.problem).tests(rollouts.problem))
        others = [_program(node, tests) for node in nodes if node is not likeliest]
        return cls(_program(likeliest, tests), others, estimate)

    def search(self, samples: int, limit: float, rng: np.random.Generator) -> Search:
        """``passing`` with so many samples, which gives up below ``limit``; the others in a random order."""
        order = [self.greedy, *(self.others[at] for at in rng.permutation(len(self.others)))][:samples]
        tokens = 0
        for count, program in enumerate(order, start=1):
            tokens += program.tokens
            if program.passes:
                return Search(program.right, tokens, count)
            if chance_of_success(self.estimate, count, samples - count) < limit:
                return Search(False, tokens, count)
        return Search(False, tokens, len(order))

    @property
    def is_hopeless(self) -> bool:
        """True if none of the programs is right."""
        return not any(program.right for program in (self.greedy, *self.others))


def _program(node: RolloutNode, tests: int) -> Program:
    passes = node.answer is not None and node.passed == tests
    return Program(len(node.token_ids), passes, bool(node.right))


def play_back(tasks: Sequence[Task], samples: int, limit: float, orders: int, seed: int) -> dict[str, Any]:
    """Means over all tasks and orders.

    ``hopeless`` is the tokens of hopeless tasks, ``third`` those of searches that the third program ends
    right (None without any).
    """
    rng = np.random.default_rng(seed)
    by_order = [[task.search(samples, limit, rng) for task in tasks] for _ in range(orders)]
    searches = [search for order in by_order for search in order]
    hopeless = [s.tokens for order in by_order for s, t in zip(order, tasks, strict=True) if t.is_hopeless]
    third = [search.tokens for search in searches if search.right and search.programs == 3]
    return {
        "limit": limit,
        "right": round(fmean(search.right for search in searches), 4),
        "tokens": round(fmean(search.tokens for search in searches), 1),
        "hopeless": round(fmean(hopeless), 1) if hopeless else None,
        "third": round(fmean(third), 1) if third else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    problems = choose_questions(read_known(args.data), None, args.seed)
    with closing(RolloutStore(args.store)) as store:
        kept = [found for problem in problems if (found := store.get(problem, "code")) is not None]
    fit = fit_calibration(code_training_set(kept), "beta", HeadConfig(), args.seed)
    stages = report(fit.held_out)
    estimates = map(Estimate.of_quantiles, fit.held_out["task"].quantiles)
    tasks = [Task.of(rollouts, estimate) for rollouts, estimate in zip(kept, estimates, strict=True)]
    figures = [play_back(tasks, args.samples, limit, args.orders, args.seed) for limit in LIMITS]
    rows = [[str(value) for value in row.values()] for row in figures]
    greedy = fmean(task.greedy.right for task in tasks)
    print(f"{len(tasks)} tasks, greedy {greedy:.3f} at {fmean(t.greedy.tokens for t in tasks):.1f} tokens")
    table(["limit", "right", "tokens", "of hopeless", "of those that the third solves"], rows)
    for name, stage in stages.items():
        print(f"{name}: base {stage.base_rate} skill {stage.skill} ece {stage.ece} auc {stage.auc}")
    close({"tasks": len(tasks), "greedy": round(greedy, 4), "limits": figures})


if __name__ == "__main__":
    main()
