"""Rollouts of a calibration without their hidden states, small enough for the repository, and back.

Usage: ``python -m bench.evidence.rollout_texts STORE.sqlite DATA.jsonl ... -o FILE.jsonl.gz [--seed 1]``, and
``python -m bench.evidence.rollout_texts FILE.jsonl.gz DATA.jsonl ... -o STORE.sqlite --like CALIBRATION``

One line for each question and mode: the question's id, and for every node its parent, where its draw began,
how its step ended, token ids, text, log-probabilities and entropy, the outcomes of the draws through it, and
its answer. A state is what the generator has after reading these tokens, so it can be computed again for a
third of the price of drawing them.

The store that comes back has states of width 0, for what reads none. ``--like`` names the calibration whose
rollouts they are: its sampler is theirs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from adascale.engine.search.events import ModelDescription
from adascale.engine.types import MODES, Problem
from adascale.models.calibration.artefact import load_artefact
from adascale.models.calibration.rollouts import RolloutNode, Rollouts, RolloutStore
from adascale.models.question_sets import choose_questions, read_known

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


def rollouts_of(written: Mapping[str, Any], problem: Problem) -> Rollouts:
    """The inverse of ``line``, but for its rounding and the states that it leaves out."""
    nodes = tuple(
        RolloutNode(
            parent=written["parent"][row],
            origin=written["origin"][row],
            right=written["right"][row],
            total=written["total"][row],
            finish=written["finish"][row],
            text=written["texts"][row],
            token_ids=tuple(written["token_ids"][row]),
            wrong_sum=row in written["wrong_sum"],
            logprob=written["logprob"][row],
            min_logprob=written["min_logprob"][row],
            entropy=written["entropy"][row],
            answer=written["answers"][row],
            passed=_passed(written["answers"][row], written["mode"]),
        )
        for row in range(len(written["parent"]))
    )
    states = np.zeros((len(nodes), 0), np.float16)
    return Rollouts(problem, written["mode"], nodes, states, states)


def _passed(answer: str | None, mode: str) -> int:
    """Tests that a program passes: ``2/3`` is the answer of one that passes two of three."""
    number = (answer or "").partition("/")[0]
    return int(number) if mode == "code" and number.isdecimal() else 0


def kept(store: RolloutStore, problems: Sequence[Problem]) -> Iterator[Rollouts]:
    for problem in problems:
        found = [store.get(problem, mode) for mode in MODES]
        yield from (rollouts for rollouts in found if rollouts is not None)


def write_lines(store_path: Path, problems: Sequence[Problem], output: Path) -> None:
    """A store's rollouts as lines, in the order of the problems."""
    with closing(RolloutStore(store_path)) as store:
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


def write_store(lines_path: Path, problems: Sequence[Problem], output: Path, like: Path) -> None:
    """The inverse of ``write_lines``, of the sampler of a calibration."""
    known = {problem.id: problem for problem in problems}
    sampling = load_artefact(like).card.fingerprint.sampling
    lines = recorded_draws.lines(lines_path)
    with closing(RolloutStore(output)) as store:
        store.put_models(ModelDescription(sampling=sampling))
        for each in lines:
            store.put(rollouts_of(each, known[each["id"]]))
    close({"questions": len({each["id"] for each in lines})})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rollouts", type=Path)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--like", type=Path, help="calibration whose sampler drew them; for the way back")
    args = parser.parse_args()
    problems = choose_questions(read_known(args.data), None, args.seed)
    if args.like is None:
        write_lines(args.rollouts, problems, args.output)
    else:
        write_store(args.rollouts, problems, args.output, args.like)


if __name__ == "__main__":
    main()
