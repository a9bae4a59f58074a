"""When to give up a code task: ``passing`` played back from rollouts, at several limits of hopelessness.

    python -m bench.evidence.giving_up ~/.local/share/adascale/rollouts/STORE.sqlite mbpp-fit-mixed.jsonl

The estimates are those of heads that never saw the task. Rollouts are kept in an order of their own, so the
likeliest program stands for the greedy one, and the others are played back in several random orders. A task
is hopeless where none of its programs is right.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adascale.engine.calibration.fitting import fit_calibration
from adascale.engine.calibration.head import HeadConfig
from adascale.engine.calibration.report import report
from adascale.engine.code.trial import tests_of
from adascale.engine.strategies.allocation import chance_of_success
from adascale.engine.types import Estimate
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.calibration.training import code_training_set
from adascale.models.questions import choose_questions, read_known

from ..common import close, table

LIMITS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True, slots=True)
class Draw:
    """A program: its tokens, whether it passes the given tests, and whether it is right."""

    tokens: int
    passes: bool
    right: bool


@dataclass(frozen=True, slots=True)
class Task:
    """The greedy program, the others, and the task's estimate."""

    greedy: Draw
    others: Sequence[Draw]
    estimate: Estimate

    def spend(self, samples: int, limit: float, rng: np.random.Generator) -> tuple[bool, int, int]:
        """Whether ``passing`` ends right, its tokens, and the programs that it draws, in a random order."""
        order = [self.greedy, *(self.others[at] for at in rng.permutation(len(self.others)))][:samples]
        tokens = 0
        for drawn, program in enumerate(order, start=1):
            tokens += program.tokens
            if program.passes:
                return program.right, tokens, drawn
            if chance_of_success(self.estimate, drawn, samples - drawn) < limit:
                return False, tokens, drawn
        return False, tokens, len(order)

    @property
    def is_hopeless(self) -> bool:
        """Whether none of the programs is right."""
        return not any(program.right for program in (self.greedy, *self.others))


def task_of(rollouts: Rollouts, estimate: Estimate) -> Task:
    def draw(node: int) -> Draw:
        passed, tests = tests_of(rollouts.answers[node] or "0/1")
        return Draw(int(rollouts.tokens[node]), passed == tests, bool(rollouts.right[node]))

    nodes = rollouts.samples()
    likeliest = max(nodes, key=lambda node: float(rollouts.logprob[node] / rollouts.tokens[node]))
    return Task(draw(likeliest), [draw(node) for node in nodes if node != likeliest], estimate)


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
    estimates = [Estimate(*map(float, row), calibrated=True) for row in fit.held_out["task"].quantiles]
    tasks = [task_of(rollouts, estimate) for rollouts, estimate in zip(kept, estimates, strict=True)]
    rows, figures = [], []
    for limit in LIMITS:
        rng = np.random.default_rng(args.seed)
        runs = [[task.spend(args.samples, limit, rng) for task in tasks] for _ in range(args.orders)]
        right, tokens = (np.mean([[run[of] for run in order] for order in runs], axis=0) for of in (0, 1))
        hopeless = np.array([task.is_hopeless for task in tasks])
        of_third = [run[1] for order in runs for run in order if run[0] and run[2] == 3]
        row = {
            "limit": limit,
            "right": round(float(right.mean()), 4),
            "tokens": round(float(tokens.mean()), 1),
            "hopeless": round(float(tokens[hopeless].mean()), 1),
            "third": round(float(np.mean(of_third)), 1) if of_third else None,
        }
        figures.append(row)
        rows.append([str(value) for value in row.values()])
    greedy = float(np.mean([task.greedy.right for task in tasks]))
    print(
        f"{len(tasks)} tasks, greedy {greedy:.3f} at {np.mean([t.greedy.tokens for t in tasks]):.1f} tokens"
    )
    table(["limit", "right", "tokens", "of hopeless", "of those that the third solves"], rows)
    for name, stage in stages.items():
        print(f"{name}: base {stage.base_rate} skill {stage.skill} ece {stage.ece} auc {stage.auc}")
    close({"tasks": len(tasks), "greedy": round(greedy, 4), "limits": figures})


if __name__ == "__main__":
    main()
