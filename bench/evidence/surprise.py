"""The surprise of solutions beside their votes, and the two constants that weigh it (decision 0038).

Usage: ``python -m bench.evidence.surprise bench/draws/rollouts-*.jsonl.gz --data DATA.jsonl ...``

Three solutions in prose and three programs of each question, which take turns in six random orders. After
one, two, four and six of them: P(the leading answer is correct) by votes alone, and with the surprise of its
solutions, as log-loss, AUC and ECE; and the power and the neutral point that fit these solutions best.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adascale.engine.answers.choosing import group_answers
from adascale.engine.answers.result import Candidate, FinishedSearch
from adascale.engine.calibration.votes import VotePosterior
from adascale.engine.fitting.metrics import Predictions, auc, ece
from adascale.engine.types import Estimate, NodeId
from adascale.models.programs.monty import MontyRunner
from adascale.models.question_sets import read_known

from ..common import close, table
from .solution_features import Question, Solution, read

ORDERS = 6
DRAWN = (1, 2, 4, 6)


def orders(question: Question, rng: np.random.Generator) -> Iterator[list[Solution]]:
    """Its solutions by turns, a program first."""
    for _ in range(ORDERS):
        by_mode = [[s for s in question.solutions if s.mode == mode] for mode in ("program", "prose")]
        mixed = [[ways[at] for at in rng.permutation(len(ways))] for ways in by_mode]
        longest = max(map(len, mixed))
        yield [ways[at] for at in range(longest) for ways in mixed if at < len(ways)]


def state(question: Question, drawn: Sequence[Solution]) -> tuple[float, float, float, bool] | None:
    """P by votes and with surprise, log of the leader's surprise, and if it is right; None without one."""
    found = []
    for at, each in enumerate(drawn):
        score = np.exp(sum(each.logprobs) / sum(each.tokens))
        own = Estimate(score, score, score, calibrated=False)
        found.append(Candidate(NodeId(at), each.answer, own, each.mode, surprise=-sum(each.logprobs)))
    groups = sorted(group_answers(found), key=lambda group: -group.weight)
    if not groups:
        return None
    finished = FinishedSearch({}, tuple(found), tuple(groups))
    blind = replace(finished, candidates=tuple(replace(each, surprise=None) for each in found))
    led, votes = groups[0].nodes, VotePosterior(question.prior)
    nats = np.mean([np.log(max(found[node].surprise or 0.0, 1.0)) for node in led])
    by = [votes.chances(each)[led[0]] for each in (blind, finished)]
    return by[0], by[1], float(nats), drawn[led[0]].right


def constants(p: NDArray[np.float64], nats: NDArray[np.float64], right: NDArray[np.bool_]) -> list[str]:
    """Power and neutral point by maximum likelihood, votes given."""
    x, offset, beta = np.stack([-nats, np.ones(len(nats))], 1), np.log(p / (1 - p)), np.zeros(2)
    for _ in range(20):
        now = 1 / (1 + np.exp(-(offset + x @ beta)))
        hessian = (x * (now * (1 - now))[:, None]).T @ x
        beta += np.linalg.solve(hessian, x.T @ (right - now))
    return [f"{beta[0]:.1f}", f"{np.exp(beta[1] / beta[0]):.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    args = parser.parse_args()
    texts = {problem.id: problem.question for file in read_known(args.data) for problem in file}
    with MontyRunner() as runner:
        questions = [question for path in args.files for question in read(path, texts, runner)]
    rng, lines = np.random.default_rng(0), []
    for cell in dict.fromkeys(question.cell for question in questions):
        own = [question for question in questions if question.cell == cell]
        mixed = [(at, own[at], order) for at in range(len(own)) for order in orders(own[at], rng)]
        for drawn in DRAWN:
            known = [(at, *each) for at, q, order in mixed if (each := state(q, order[:drawn])) is not None]
            place, votes, both, nats, right = (np.array(column) for column in zip(*known, strict=True))
            line = [" ".join(cell), str(drawn), f"{right.mean():.2f}"]
            for p in (votes, both):
                kept = np.clip(p, 1e-3, 1 - 1e-3)
                loss = -np.mean(np.log(np.where(right, kept, 1 - kept)))
                said = Predictions(place, np.stack([p] * 3, 1), right.astype(float), np.ones(len(p)))
                line += [f"{loss:.3f}", f"{auc(said):.2f}", f"{ece(said):.2f}"]
            lines.append(line + constants(votes, nats, right))
    figures = ["log-loss", "AUC", "ECE"]
    heads = [*figures, *(f"{each}, surprise" for each in figures)]
    table(["cell", "drawn", "right", *heads, "power", "nats"], lines)
    close({"cells": lines})


if __name__ == "__main__":
    main()
