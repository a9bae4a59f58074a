"""Rollouts of a calibration without their hidden states, small enough for the repository.

Usage: ``python -m bench.evidence.rollout_texts STORE.jsonl DATA.jsonl ... -o FILE.jsonl.gz [--seed 1]``

One line for each question and mode: the question's id, and for every node its parent, where its draw began,
how its step ended, token ids, text, log-probabilities and entropy, the outcomes of the draws through it, and
its answer. A state is what the generator has after reading these tokens, so it can be computed again for a
third of the price of drawing them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from adascale.engine.types import MODES, Problem
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.questions import choose_questions, read_known

from ..common import close
from . import recorded_draws


def line(rollouts: Rollouts) -> dict[str, Any]:
    """One question in one mode."""
    nodes = rollouts.nodes
    return {
        "id": rollouts.problem.id,
        "gold": rollouts.problem.answer,
        "mode": rollouts.mode,
        "parent": [node.parent for node in nodes],
        "origin": [node.origin for node in nodes],
        "right": [node.right for node in nodes],
        "total": [node.total for node in nodes],
        "finish": [node.finish for node in nodes],
        "wrong_sum": [row for row, node in enumerate(nodes) if node.wrong_sum],
        "logprob": [round(node.logprob, 3) for node in nodes],
        "min_logprob": [round(node.min_logprob, 3) for node in nodes],
        "entropy": [round(node.entropy, 4) for node in nodes],
        "answers": [node.answer for node in nodes],
        "texts": [node.text for node in nodes],
        "token_ids": [list(node.token_ids) for node in nodes],
    }


def kept(store: RolloutStore, problems: Sequence[Problem]) -> Iterator[Rollouts]:
    for problem in problems:
        found = [store.get(problem, mode) for mode in MODES]
        yield from (rollouts for rollouts in found if rollouts is not None)


def write_lines(store_path: Path, problems: Sequence[Problem], output: Path) -> None:
    """A store's rollouts as lines, in the order of the problems."""
    with closing(RolloutStore(store_path, read_only=True)) as store:
        lines = [line(rollouts) for rollouts in kept(store, problems)]
    output.unlink(missing_ok=True)
    recorded_draws.append(output, lines)
    tokens = sum(len(ids) for each in lines for ids in each["token_ids"])
    close(
        {
            "questions": len({each["id"] for each in lines}),
            "tokens": tokens,
            "bytes": output.stat().st_size,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    problems = choose_questions(read_known(args.data), None, args.seed)
    write_lines(args.store, problems, args.output)


if __name__ == "__main__":
    main()
