"""The words of solutions beside their votes: their likelihood, and the numbers that they leave out.

Usage: ``python -m bench.evidence.likelihood bench/draws/rollouts-*.jsonl.gz``

A line has the rollouts of one question in one mode, as a calibration was fitted on them: of every node its
parent, the node where its draw began, how its step ended, its tokens and their log-probability, the outcomes
of the draws through it, and its answer. Three solutions in prose and three programs of each question take
turns in six random orders. After one, two, four and six of them: P(the leading answer is correct) by votes
alone, with the likelihood of its solutions, and with the numbers of the question that they leave out too, as
log-loss, AUC and ECE; and the power and the neutral point that fit these solutions best. Last, the share of
solutions that are right, of those that use all numbers and of the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adascale.engine.answers.choosing import Candidate, FinishedSearch, group_answers
from adascale.engine.answers.sums import leaves_out
from adascale.engine.calibration.metrics import Predictions
from adascale.engine.calibration.posterior import Posterior, rate_of_size
from adascale.engine.ports import Prefix
from adascale.engine.types import Estimate, Mode, NodeId, Problem, Step

from ..common import close, read_lines, table
from ..metrics import auc, ece

ORDERS = 6
DRAWN = (1, 2, 4, 6)
QUESTIONS = Path(str(files("adascale.models.calibration") / "questions.jsonl"))
PARAMETERS = {"0.5b": 4.94e8, "1.5b": 1.544e9}

_ASKED = Prefix(Problem("", ""), ())
"""No posterior of votes reads the question."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A recorded solution; ``logprob`` is of all its ``tokens`` together, in nats."""

    mode: Mode
    answer: str | None
    right: bool
    tokens: int
    logprob: float
    leaves_out: bool


@dataclass(frozen=True, slots=True)
class Question:
    """Solutions of a question; ``cell`` is model and data set, ``prior`` the accuracy expected by size."""

    cell: str
    prior: float
    solutions: Sequence[Solution]


def solutions_of(line: Mapping[str, Any], asked: Problem) -> Iterator[Solution]:
    """The solutions that were drawn from the question itself, of a line of a question in one mode."""
    for end, (finish, origin) in enumerate(zip(line["finish"], line["origin"], strict=True)):
        if finish == "step" or origin != 0:
            continue
        path = [end]
        while (row := line["parent"][path[0]]) > 0:
            path.insert(0, row)
        tokens = sum(len(line["token_ids"][row]) for row in path)
        logprob = sum(line["logprob"][row] for row in path)
        text = "".join(line["texts"][row] for row in path)
        unused = leaves_out(asked, [Step(text, (), logprob, "stop")])
        yield Solution(line["mode"], line["answers"][end], bool(line["right"][end]), tokens, logprob, unused)


def read(path: Path) -> Iterator[Question]:
    """Questions of a file of rollouts, whose name says the model."""
    kind, model = path.name.split("-")[:2]
    found: dict[str, list[Solution]] = {}
    problems = {each["id"]: Problem(each["id"], each["question"]) for each in read_lines(QUESTIONS)}
    for line in read_lines(path):
        found.setdefault(line["id"], []).extend(solutions_of(line, problems[line["id"]]))
    for id_, solutions in found.items():
        data = "GSM8K" if id_.startswith("gsm8k") else "MATH"
        yield Question(f"{kind} {model} {data}", rate_of_size(PARAMETERS[model]), solutions)


def orders(question: Question, rng: np.random.Generator) -> Iterator[list[Solution]]:
    """Its solutions by turns, a program first."""
    for _ in range(ORDERS):
        by_mode = [[s for s in question.solutions if s.mode == mode] for mode in ("program", "prose")]
        mixed = [[ways[at] for at in rng.permutation(len(ways))] for ways in by_mode]
        longest = max(map(len, mixed))
        yield [ways[at] for at in range(longest) for ways in mixed if at < len(ways)]


def state(question: Question, drawn: Sequence[Solution]) -> tuple[list[float], float, bool] | None:
    """P by votes, with likelihood, with numbers too; log of the leader's nats, if right; None without one."""
    found = []
    for at, each in enumerate(drawn):
        score = np.exp(each.logprob / each.tokens)
        own = Estimate(score, score, score, calibrated=False)
        unused = each.leaves_out
        found.append(Candidate(NodeId(at), each.answer, own, each.mode, nll=-each.logprob, leaves_out=unused))
    groups = sorted(group_answers(found), key=lambda group: -group.weight)
    if not groups:
        return None
    finished = FinishedSearch({}, tuple(found), tuple(groups))
    fluent = replace(finished, candidates=tuple(replace(each, leaves_out=False) for each in found))
    blind = replace(fluent, candidates=tuple(replace(each, nll=None) for each in fluent.candidates))
    led, votes = groups[0].nodes, Posterior(prior=question.prior)
    nats = np.mean([np.log(max(found[node].nll or 0.0, 1.0)) for node in led])
    by = [votes.judge(_ASKED, each).revised[led[0]].median for each in (blind, fluent, finished)]
    return by, float(nats), drawn[led[0]].right


def constants(p: NDArray[np.float64], nats: NDArray[np.float64], right: NDArray[np.bool_]) -> list[str]:
    """Power and neutral point by maximum likelihood, votes given."""
    x, offset, beta = np.stack([-nats, np.ones(len(nats))], 1), np.log(p / (1 - p)), np.zeros(2)
    for _ in range(20):
        now = 1 / (1 + np.exp(-(offset + x @ beta)))
        hessian = (x * (now * (1 - now))[:, None]).T @ x
        beta += np.linalg.solve(hessian, x.T @ (right - now))
    return [f"{beta[0]:.1f}", f"{np.exp(beta[1] / beta[0]):.3g}"]


def shares_of(questions: Sequence[Question]) -> Iterator[list[str]]:
    """By cell and mode: solutions with an answer that use all numbers, the share right, and the others."""
    ways = {(each.cell, solution.mode) for each in questions for solution in each.solutions}
    for cell, mode in sorted(ways):
        own = [s for q in questions if q.cell == cell for s in q.solutions if s.mode == mode and s.answer]
        line = [cell, str(mode)]
        for unused in (False, True):
            right = [each.right for each in own if each.leaves_out is unused]
            line += [str(len(right)), f"{np.mean(right):.2f}" if right else "-"]
        yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    args = parser.parse_args()
    questions = [question for path in args.files for question in read(path)]
    rng, lines = np.random.default_rng(0), []
    for cell in dict.fromkeys(question.cell for question in questions):
        own = [question for question in questions if question.cell == cell]
        mixed = [(at, own[at], order) for at in range(len(own)) for order in orders(own[at], rng)]
        for drawn in DRAWN:
            known = [(at, *each) for at, q, order in mixed if (each := state(q, order[:drawn])) is not None]
            place, found, nats, right = (np.array(column) for column in zip(*known, strict=True))
            line = [cell, str(drawn), f"{right.mean():.2f}"]
            for p in found.T:
                kept = np.clip(p, 1e-3, 1 - 1e-3)
                loss = -np.mean(np.log(np.where(right, kept, 1 - kept)))
                said = Predictions(place, np.stack([p] * 3, 1), right.astype(float), np.ones(len(p)))
                line += [f"{loss:.3f}", f"{auc(said):.2f}", f"{ece(said):.2f}"]
            lines.append(line + constants(found[:, 0], nats, right))
    figures = ["log-loss", "AUC", "ECE"]
    heads = [*figures, *(f"{each}, {of}" for of in ("likelihood", "numbers") for each in figures)]
    table(["cell", "drawn", "right", *heads, "power", "nats"], lines)
    shares = list(shares_of(questions))
    table(["cell", "mode", "all numbers", "right", "not all", "right"], shares)
    close({"cells": lines, "shares": shares})


if __name__ == "__main__":
    main()
