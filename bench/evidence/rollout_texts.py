"""Rollouts of a calibration without their hidden states, small enough to stand beside the code.

Usage: ``python -m bench.evidence.rollout_texts STORE.sqlite DATA.jsonl ... -o FILE.jsonl.gz [--seed 1]``

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

import numpy as np

from adascale.engine.types import FINISHES, MODES, Problem
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.question_sets import choose_questions, read_known

from ..common import close
from . import recorded_draws


def line(rollouts: Rollouts) -> dict[str, Any]:
    """One question in one mode."""
    ids = np.split(rollouts.token_ids, np.cumsum(rollouts.tokens)[:-1])
    return {
        "id": rollouts.problem.id,
        "gold": rollouts.problem.answer,
        "mode": rollouts.mode,
        "parent": rollouts.parent.tolist(),
        "origin": rollouts.origin.tolist(),
        "right": rollouts.right.tolist(),
        "total": rollouts.total.tolist(),
        "finish": [FINISHES[at] for at in rollouts.finish],
        "wrong_sum": np.flatnonzero(rollouts.wrong_sum).tolist(),
        "logprob": [round(float(value), 3) for value in rollouts.logprob],
        "min_logprob": [round(float(value), 3) for value in rollouts.min_logprob],
        "entropy": [round(float(value), 4) for value in rollouts.entropy],
        "answers": rollouts.answers,
        "texts": rollouts.texts,
        "token_ids": [part.tolist() for part in ids],
    }


def kept(store: RolloutStore, problems: Sequence[Problem]) -> Iterator[Rollouts]:
    for problem in problems:
        found = [store.get(problem, mode) for mode in MODES]
        yield from (rollouts for rollouts in found if rollouts is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    problems = choose_questions(read_known(args.data), None, args.seed)
    with closing(RolloutStore(args.store)) as store:
        lines = [line(rollouts) for rollouts in kept(store, problems)]
    args.output.unlink(missing_ok=True)
    recorded_draws.append(args.output, lines)
    tokens = sum(len(ids) for each in lines for ids in each["token_ids"])
    close(
        {
            "questions": len({each["id"] for each in lines}),
            "tokens": tokens,
            "bytes": args.output.stat().st_size,
        }
    )


if __name__ == "__main__":
    main()
