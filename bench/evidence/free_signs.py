"""What signs that cost nothing tell of solutions, beside the votes, or beside the votes and the probe.

Usage: ``python -m bench.evidence.free_signs bench/draws/rollouts-*.gz --data DATA.jsonl ... [--transfer]``

Features are those of ``solution_features``. Logistic regression with a ridge, held out by question and fitted
on all cells of the files together, or with ``--transfer`` on those of the other model. A choice is fitted on
differences between a right one and a wrong one of the same question. Everything is measured within a cell; a
row has the mean over a model's cells. Intervals are 95 %, over questions, of the gain over the first row.

Decisions: ``solution``, which of a question's solutions is right, of those with an answer (mean over
questions of the AUC among their own); ``answer``, the share of questions with the right answer chosen where
it was found; AUC of ``leader``, the leader of all is right, by all or by two solutions, and of ``none``, no
solution is right.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adascale.models.programs.monty import MontyRunner
from adascale.models.question_sets import read_known

from ..common import close, table
from .solution_features import (
    Array,
    Features,
    Question,
    features_alone,
    of_search,
    of_solutions,
    read,
)

Places = NDArray[np.int64]

RIDGE, FOLDS, REPEATS, ROUNDS = 3.0, 10, 3, 1000


@dataclass(frozen=True, slots=True)
class Rows:
    """Examples of one decision.

    Attributes:
        features: Of each row, by group; of a choice those of the right one less those of the wrong one.
        right: ``[rows]`` outcomes; of a choice all are true.
        question: ``[rows]`` places of the questions.
        counted: Places of the questions that are measured.
        default: ``[rows]`` score by the posterior of votes alone, without a fit.
    """

    features: Features
    right: NDArray[np.bool_]
    question: Places
    counted: Places
    default: Array

    @property
    def is_choice(self) -> bool:
        """True if a score is compared with 0."""
        return bool(self.right.all())

    @property
    def weight(self) -> Array:
        """``[rows]``, 1 in sum for each question."""
        return np.asarray(1.0 / np.bincount(self.question)[self.question])


def stack(found: Sequence[tuple[int, Features, bool]], counted: Sequence[int] = (), column: int = 0) -> Rows:
    """Rows of places, features and outcomes.

    Args:
        found: The rows.
        counted: As of ``Rows``; by default all questions that have rows.
        column: Of the posterior, 0 for the answer and 1 for none.
    """
    features = {name: np.stack([each[name] for _, each, _ in found]) for name in found[0][1]}
    question = np.array([place for place, _, _ in found])
    known = np.array(counted) if counted else np.unique(question)
    right = np.array([outcome for _, _, outcome in found])
    return Rows(features, right, question, known, features["posterior"][:, column])


def choices(questions: Sequence[Question], alone: Sequence[Features]) -> dict[str, Rows]:
    """Which solution is right, and which answer."""
    solutions, answers, present = [], [], []
    for place, (question, own) in enumerate(zip(questions, alone, strict=True)):
        groups, rows = of_solutions(question, range(len(question.solutions)), own)
        is_right = [question.solutions[group[0]].right for group in groups]
        wrong = [group for group, right in zip(groups, is_right, strict=True) if not right]
        for group in (group for group, right in zip(groups, is_right, strict=True) if right):
            present.append(place)
            for other in wrong:
                answers.append((place, _less(rows, group, other), True))
                solutions += [(place, _less(rows, [a], [b]), True) for a in group for b in other]
    return {"solution": stack(solutions), "answer": stack(answers, present)}


def _less(rows: Features, right: list[int], wrong: list[int]) -> Features:
    return {name: values[right].mean(axis=0) - values[wrong].mean(axis=0) for name, values in rows.items()}


def forecasts(questions: Sequence[Question], alone: Sequence[Features]) -> dict[str, Rows]:
    """What a search comes to, after all solutions and after two."""
    last, none, last_by_two, none_by_two = [], [], [], []
    for place, (question, own) in enumerate(zip(questions, alone, strict=True)):
        everything = [*range(len(question.solutions))]
        groups, rows = of_solutions(question, everything, own)
        leader, features = of_search(question, groups, rows)
        is_right = leader is not None and question.solutions[groups[leader][0]].right
        has_none = not any(each.right for each in question.solutions)
        last.append((place, features, is_right))
        none.append((place, features, has_none))
        for pair in question.pairs():
            _, features = of_search(question, *of_solutions(question, pair, own))
            last_by_two.append((place, features, is_right))
            none_by_two.append((place, features, has_none))
    return {
        "leader, all": stack(last),
        "none, all": stack(none, column=1),
        "leader of all, by two": stack(last_by_two),
        "none of all, by two": stack(none_by_two, column=1),
    }


@dataclass(frozen=True, slots=True)
class Folds:
    """Questions that a fit is held out from.

    Attributes:
        cell: ``[questions]`` places of the cells.
        model: ``[questions]`` places of the models.
        fold: ``[repeats, questions]``; a question of two models is in one fold.
        transfer: True for fits on the other model alone.
    """

    cell: Places
    model: Places
    fold: Places
    transfer: bool

    def splits(self) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """``[questions]`` held out, and fitted on."""
        for fold_of in self.fold:
            for fold in range(FOLDS):
                for model in np.unique(self.model) if self.transfer else [-1]:
                    other = self.model != model
                    yield (fold_of == fold) & (~other | (model < 0)), (fold_of != fold) & other

    def scores(self, rows: Rows, groups: Sequence[str]) -> Array:
        """``[rows]`` scores to compare within a cell: the cell's own level, known to no fit, is left out."""
        if groups == ("posterior",):
            return rows.default
        x = np.concatenate([rows.features[name] for name in groups], axis=1)
        design = x = x / np.maximum(x.std(axis=0), 1e-9)
        if not rows.is_choice:
            level = np.eye(self.cell.max() + 1)[self.cell[rows.question]]
            x = x - level @ (level.T @ x / level.sum(axis=0)[:, None])
            design = np.concatenate([x, level], axis=1)
        scores = np.zeros(len(x))
        for out, used in self.splits():
            fitted, held = used[rows.question], out[rows.question]
            beta = fit(design[fitted], rows.right[fitted], rows.weight[fitted])
            scores[held] += x[held] @ beta[: x.shape[1]]
        return scores


def fit(x: Array, right: NDArray[np.bool_], weight: Array) -> Array:
    """Coefficients of a logistic regression with a ridge, by Newton's method."""
    beta = np.zeros(x.shape[1])
    for _ in range(12):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ beta, -30, 30)))
        gradient = x.T @ (weight * (right - p)) - RIDGE * beta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(beta))
        beta += np.linalg.solve(hessian, gradient)
    return beta


def measured(rows: Rows, score: Array, cell: Places, whole: bool) -> Array:
    """``[1 + ROUNDS]``: AUC or share among the questions of a cell, then with questions drawn again.

    Args:
        rows: Examples.
        score: ``[rows]``.
        cell: Places of its questions.
        whole: True if of a choice all rows of a question must be won.
    """
    own = np.intersect1d(cell, rows.counted)
    n = len(own)
    times = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), ROUNDS)
    times = np.concatenate([np.ones((1, n)), times])
    if rows.is_choice:
        won = (np.sign(score) + 1) / 2
        of = [won[rows.question == place] for place in own]
        return np.asarray(times @ [each.prod() if whole else each.mean() for each in of] / times.sum(axis=1))
    at = np.flatnonzero(np.isin(rows.question, own))
    of_row = (rows.question[at][:, None] == own) * rows.weight[at][:, None]
    good, bad = np.flatnonzero(rows.right[at]), np.flatnonzero(~rows.right[at])
    above = (np.sign(score[at][good][:, None] - score[at][bad]) + 1) / 2
    won = of_row[good].T @ above @ of_row[bad]
    pairs = np.outer(of_row[good].sum(axis=0), of_row[bad].sum(axis=0))
    with np.errstate(invalid="ignore"):  # all may be right among questions drawn again
        return np.asarray(((times @ won) * times).sum(axis=1) / ((times @ pairs) * times).sum(axis=1))


def groups_of(has_texts: bool) -> list[tuple[str, ...]]:
    """Groups of features to compare, the baseline first, all of them last.

    Args:
        has_texts: False of draws with the probe's estimates, which are compared with and without them.
    """
    base = ("posterior",) if has_texts else ("posterior", "probe")
    signs = ("votes", *(["results"] if has_texts else []), "tokens", "form", "question")
    every = (*base, *signs)
    less = [tuple(each for each in every if each != out) for out in ("results", "tokens", "probe")]
    beside = [*((*base, each) for each in signs), *(("posterior", each) for each in signs)]
    return [base, *((each,) for each in every), *beside, *less, every]


def compare(rows: Rows, folds: Folds, sets: Sequence[tuple[str, ...]], whole: bool) -> list[list[str]]:
    """Lines of a table: of each set of groups and model the value, its cells, and its gain over the first."""
    lines = []
    base: dict[int, Array] = {}
    done: set[tuple[str, ...]] = {()}
    for groups in sets:
        known = tuple(each for each in groups if each in rows.features)
        if known in done:
            continue
        done.add(known)
        score = folds.scores(rows, known)
        line = [" + ".join(known)]
        for model in np.unique(folds.model):
            cells = np.unique(folds.cell[folds.model == model])
            each = np.array([measured(rows, score, np.flatnonzero(folds.cell == c), whole) for c in cells])
            value = each.mean(axis=0)
            gain = value - base.setdefault(model, value)
            low, high = np.nanpercentile(gain[1:], (2.5, 97.5))
            in_cells = ", ".join(f"{v:.2f}" for v in each[:, 0])
            line += [f"{value[0]:.3f} ({in_cells})", f"{gain[0]:+.3f} ({low:+.3f} to {high:+.3f})"]
        lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--transfer", action="store_true", help="fit on the other model alone")
    args = parser.parse_args()
    texts = {problem.id: problem.question for file in read_known(args.data) for problem in file}
    with MontyRunner() as runner:
        questions = [question for path in args.files for question in read(path, texts, runner)]
    alone = features_alone(questions)
    has_texts = any(each.numbers for question in questions for each in question.solutions)
    cells, cell = np.unique([" ".join(question.cell) for question in questions], return_inverse=True)
    models, model = np.unique([question.cell[0] for question in questions], return_inverse=True)
    names, name = np.unique([question.id for question in questions], return_inverse=True)
    rng = np.random.default_rng(1)
    fold = np.array([(rng.permutation(len(names)) % FOLDS)[name] for _ in range(REPEATS)])
    folds = Folds(cell, model, fold, args.transfer)
    figures = {}
    for decision, rows in {**choices(questions, alone), **forecasts(questions, alone)}.items():
        figures[decision] = compare(rows, folds, groups_of(has_texts), decision == "answer")
        print(f"\n{decision} ({len(rows.counted)} questions)")
        table(["features", *[head for each in models for head in (each, "gain")]], figures[decision])
    close({"cells": cells.tolist(), **figures})


if __name__ == "__main__":
    main()
