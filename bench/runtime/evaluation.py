"""Decode batches that an evaluation takes: with idle rows as padding, and with likely draws in them.

Usage: ``python -m bench.runtime.evaluation FILE.jsonl.gz [--questions 40] [--strategies vote:4,adaptive]``

A generator of 32 rows writes recorded solutions (``evidence.recorded_draws``) token by token, so no model
is needed and the figures are those of real lengths and estimates. ``adascale eval`` pads every batch to all
rows, so a batch costs the same however many rows are of use: batches stand for time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adascale.engine.evaluation.contestants import parse_contestants
from adascale.engine.evaluation.evaluate import Forecast, Outcome, evaluate
from adascale.engine.ports import Growth, Prefix, PrefixWork, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.types import BranchId, Mode, Problem, Step, Until
from adascale.models.draws.playback import ReplayingPolicy
from adascale.models.draws.store import Prompt, draw_key

from ..common import close, table
from ..evidence import recorded_draws

ROWS = 32


@dataclass(slots=True)
class RecordedGenerator:
    """Implements ``engine.ports.Policy``: writes recorded solutions, one token a row and batch.

    Attributes:
        batches: Decoded so far.
        rows: Rows of them that held a branch.
    """

    recorded: recorded_draws.RecordStore
    flops_per_token: float
    slots: int = ROWS
    batches: int = 0
    rows: int = 0
    _left: dict[BranchId, list[Step]] = field(default_factory=dict)
    _written: dict[BranchId, int] = field(default_factory=dict)

    def open(self, problem: Problem, mode: Mode) -> PrefixWork:
        return PrefixWork(self.recorded.prompt(problem, mode).tokens)

    def start(self, branch: BranchId, prefix: Prefix, seed: int, until: Until, greedy: bool) -> None:
        self._left[branch] = list(self.recorded.get(draw_key(prefix, seed, greedy), until))
        self._written[branch] = 0

    def advance(self) -> Sequence[Growth]:
        self.batches += 1
        self.rows += len(self._left)
        return [self._grow(branch) for branch in list(self._left)]

    def _grow(self, branch: BranchId) -> Growth:
        steps = self._left[branch]
        self._written[branch] += 1
        if self._written[branch] < len(steps[0].token_ids):
            return Growth(branch, 1, "")
        self._written[branch], step = 0, steps.pop(0)
        if not steps:
            self.cancel(branch)
        return Growth(branch, 1, "", step)

    def cancel(self, branch: BranchId) -> None:
        del self._left[branch], self._written[branch]

    def close_problem(self, problem: Problem) -> None:
        pass


@dataclass(slots=True)
class MemoryStore:
    """Implements ``models.draws.store.KeptDraws`` for one run, as objects: steps keep their estimates."""

    _prompts: dict[tuple[str, Mode], Prompt] = field(default_factory=dict)
    _draws: dict[str, tuple[Step, ...]] = field(default_factory=dict)

    def prompt(self, problem: Problem, mode: Mode) -> Prompt | None:
        return self._prompts.get((problem.id, mode))

    def put_prompt(self, problem: Problem, mode: Mode, prompt: Prompt) -> None:
        self._prompts[problem.id, mode] = prompt

    def get(self, key: str, until: Until) -> tuple[Step, ...] | None:
        return self._draws.get(key)

    def put(self, key: str, steps: tuple[Step, ...]) -> None:
        self._draws[key] = steps

    def __contains__(self, key: str) -> bool:
        return key in self._draws


def run(
    path: Path, questions: int, strategies: str, *, ahead: bool
) -> tuple[RecordedGenerator, list[Outcome]]:
    """Evaluate with nothing kept; ``ahead`` lets idle rows write what is likely to be asked for."""
    header, found = recorded_draws.load(path)
    found = found[:questions]
    generator = RecordedGenerator(recorded_draws.RecordStore(header, found), header["flops_per_token"])
    policy = ReplayingPolicy(generator, MemoryStore(), lambda branches: 1.0)
    calibrator = recorded_draws.RecordedCalibrator(
        recorded_draws.calibration_of(header, None),
        recorded_draws.question_estimates(found),
        {record["id"]: record["distance"] for record in found},
    )
    executor = recorded_draws.RecordedExecutor(found)
    driver = Driver(policy, SequenceLogprob(), calibrator, lambda: 0.0, executor=executor)
    problems = [Problem(record["id"], record["id"], record["gold"]) for record in found]
    contestants = parse_contestants(strategies)
    expect = policy.expect if ahead else expect_nothing
    return generator, list(evaluate(driver, contestants, problems, 1, header["seed"], expect))


def expect_nothing(rounds: Sequence[Forecast]) -> None:
    """Idle rows are padding."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--strategies", default="vote:4,adaptive")
    args = parser.parse_args()
    padded, expected = run(args.file, args.questions, args.strategies, ahead=False)
    filled, outcomes = run(args.file, args.questions, args.strategies, ahead=True)
    assert sorted(map(repr, outcomes)) == sorted(map(repr, expected)), "draws ahead changed an outcome"
    table(
        ["idle rows", "batches", "rows in use"],
        [
            [name, f"{generator.batches:,}", f"{generator.rows / generator.batches / ROWS:.0%}"]
            for name, generator in (("padding", padded), ("likely draws", filled))
        ],
    )
    close({"padded": padded.batches, "filled": filled.batches, "speedup": padded.batches / filled.batches})


if __name__ == "__main__":
    main()
