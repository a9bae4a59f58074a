"""Features of a recorded solution beside the others of its question: what can be read for nothing.

Rollouts (``rollout_texts``) have three solutions in prose and three programs of each question, with their
texts; other draws (``recorded_draws``) have 16 in prose with the probe's estimates, and no texts. Groups:

- posterior: log-odds of its answer, and of none, by ``engine.calibration.votes``' posterior;
- votes: the other solutions of its mode and of the other mode that agree;
- probe: its recorded estimate over that of its question; of a search also that of the question;
- results: numbers that it computes on its way (right sides of equations in prose; values of the variables of
  a program, which runs in the sandbox) and that others compute too, also those with another answer. Numbers
  of the question, 0, 1, 2 and its own answer do not count;
- tokens: log-probability of a token (mean, lowest step, last step, lowest token) and entropy (mean, highest);
- form: its tokens, steps and wrong sums, the distance from its question's median length, and its mode;
- question, of a search only: length, numbers and LaTeX of the text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adascale.engine.answers.choosing import equal_answers
from adascale.engine.answers.equality import is_right
from adascale.engine.answers.latex import arithmetic
from adascale.engine.answers.lookahead import ModeState, Support, log_odds, posterior
from adascale.engine.answers.program import read_program
from adascale.engine.answers.result import PROFILES
from adascale.engine.calibration.votes import rate_of_size
from adascale.engine.types import Estimate, Mode, Problem
from adascale.models.programs.monty import MontyRunner

from . import recorded_draws
from .rollout_texts import rollouts_of

Array = NDArray[np.float64]
Features = dict[str, Array]
"""``[rows, columns]`` of each group."""

PARAMETERS = {"0.5b": 4.94e8, "1.5b": 1.544e9}
PAIRS = 9
"""Pairs of solutions of a question that stand for a search that has drawn two."""

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
_UNITS = re.compile(r"[\x01\x02]")
_FRACTION = re.compile(r"\(\((-?\d+)\)/\((\d+)\)\)")
_MARK = "\x1f"


@dataclass(frozen=True, slots=True)
class Solution:
    """A recorded solution: ``tokens``, ``logprobs`` and ``entropy`` of its steps, ``probe`` as log-odds."""

    mode: Mode
    answer: str | None
    right: bool
    tokens: Sequence[int]
    logprobs: Sequence[float]
    entropy: Sequence[float] = (0.0,)
    lowest: float = 0.0
    slips: int = 0
    numbers: frozenset[str] = frozenset()
    probe: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """A question in a cell, with all that was drawn.

    Attributes:
        id: As in its data.
        cell: File and data set.
        prior: Accuracy expected of the model by its size.
        text: What is asked.
        solutions: All that were drawn.
        probe: Log-odds of its recorded estimate, 0 without one.
    """

    id: str
    cell: tuple[str, str]
    prior: float
    text: str
    solutions: Sequence[Solution]
    probe: float = 0.0

    def pairs(self) -> list[tuple[int, int]]:
        """Some pairs that a search may have drawn: one solution of each mode, where there are both."""
        ways = [[at for at, s in enumerate(self.solutions) if s.mode == mode] for mode in PROFILES]
        both = [ends for ends in ways if ends]
        found = [*(product(*both) if len(both) > 1 else combinations(both[0], 2))]
        chosen = np.random.default_rng(0).permutation(len(found))[:PAIRS]
        return [found[at] for at in chosen]


def number(text: str) -> str | None:
    """A number in one spelling, of six digits; None for what is none."""
    above, _, below = text.replace(",", "").rstrip("%").partition("/")
    try:
        return f"{float(above) / float(below or 1):.6g}"
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def results_of_prose(text: str) -> Iterator[str | None]:
    """Numbers that stand alone on the right of an equals sign."""
    text = _UNITS.sub(" ", _FRACTION.sub(r"\1/\2", arithmetic(text)))
    for line in text.splitlines():
        for side in re.split(r"[=≈]", line)[1:]:
            sentence = re.split(r"[.;,](?=\s|$)", side)[0]
            if (
                len(found := [*_NUMBER.finditer(sentence)]) == 1
                and not sentence[found[0].end() :][:1].isalpha()
            ):
                yield number(found[0][0])


class _Kept(ast.NodeTransformer):
    """Keep the last value of each assignment to a name."""

    def __init__(self) -> None:
        self.sites = 0

    def keep(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> ast.AST | list[ast.AST]:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if not isinstance(target, ast.Name) or node.value is None:
            return node
        self.sites += 1
        return [node, *ast.parse(f"kept_adascale[{self.sites}] = {target.id}").body]

    visit_Assign = visit_AugAssign = visit_AnnAssign = keep


def results_of_program(text: str, runner: MontyRunner) -> Iterator[str | None]:
    """Values of the variables of a program that ran to its end."""
    if (source := read_program(text)) is None:
        return
    kept = ast.fix_missing_locations(_Kept().visit(ast.parse(source)))
    values = "[v for v in kept_adascale.values() if type(v) in (int, float)]"
    ran = runner.run(f"kept_adascale = {{}}\n{ast.unparse(kept)}\nprint('{_MARK}', *{values})")
    yield from map(number, ran.output.partition(_MARK)[2].split())


def read(path: Path, texts: Mapping[str, str], runner: MontyRunner) -> Iterator[Question]:
    """Questions of a file of either kind."""
    kind, model = path.name.split("-")[:2]
    prior, asked = rate_of_size(PARAMETERS[model]), dict.fromkeys(texts, 0.0)
    if kind == "rollouts":
        found: dict[str, list[Solution]] = {}
        for line in recorded_draws.lines(path):
            found.setdefault(line["id"], []).extend(_of_rollouts(line, texts[line["id"]], runner))
    else:
        records = recorded_draws.load(path)[1]
        found = {record["id"]: [*_of_draws(record)] for record in records}
        asked = {record["id"]: log_odds(record["question"][1]) for record in records}
    for name, solutions in found.items():
        data = "GSM8K" if name.startswith("gsm8k") else "MATH"
        yield Question(name, (f"{kind} {model}", data), prior, texts[name], solutions, asked[name])


def _of_rollouts(line: Mapping[str, Any], question: str, runner: MontyRunner) -> Iterator[Solution]:
    rollouts = rollouts_of(line, Problem(line["id"], question, line["gold"]))
    given = {number(each) for each in _NUMBER.findall(arithmetic(question))} | {"0", "1", "2", None}
    for end in rollouts.samples():
        nodes = [rollouts.nodes[row] for row in rollouts.path(end) if row]
        text = "".join(node.text for node in nodes)
        is_prose = rollouts.mode == "prose"
        numbers = results_of_prose(text) if is_prose else results_of_program(text, runner)
        answer = nodes[-1].answer
        yield Solution(
            rollouts.mode,
            answer,
            bool(nodes[-1].right),
            [len(node.token_ids) for node in nodes],
            [node.logprob for node in nodes],
            [node.entropy for node in nodes],
            min(node.min_logprob for node in nodes),
            sum(node.wrong_sum for node in nodes),
            frozenset(
                each for each in numbers if each is not None and each not in {*given, number(answer or "")}
            ),
        )


def _of_draws(record: Mapping[str, Any]) -> Iterator[Solution]:
    asked = log_odds(record["question"][1])
    for each in record["samples"]:
        yield Solution(
            "prose",
            each["answer"],
            is_right(each["answer"], gold=record["gold"]),
            each["tokens"],
            each["logprobs"],
            slips=len(each.get("slips", ())),
            probe=log_odds(each["estimates"][-1][1]) - asked,
        )


def of_solutions(question: Question, drawn: Sequence[int], own: Features) -> tuple[list[list[int]], Features]:
    """Answers found, as places in ``drawn``, and features of each solution beside the others drawn.

    Args:
        question: The question.
        drawn: Places of the solutions that a search has.
        own: ``features_alone`` of all its solutions.
    """
    solutions = [question.solutions[at] for at in drawn]
    groups = equal_answers([each.answer for each in solutions])
    group_of = {at: place for place, group in enumerate(groups) for at in group}
    asked = Estimate(question.prior, question.prior, question.prior, calibrated=True)
    by_mode = {mode: sum(s.mode == mode for s in solutions) for mode in PROFILES}
    states = {mode: ModeState(asked, n, PROFILES[mode].spread) for mode, n in by_mode.items() if n}
    counts = [{mode: sum(solutions[at].mode == mode for at in group) for mode in states} for group in groups]
    chances = posterior(states, [Support(votes, 0.0) for votes in counts])
    votes, chance, results = [], [], []
    for at, each in enumerate(solutions):
        others = [other for other in range(len(solutions)) if other != at]
        apart = [o for o in others if group_of.get(o) != group_of.get(at, -1)]
        group = groups[group_of[at]] if at in group_of else []
        same = sum(solutions[o].mode == each.mode for o in group) - bool(group)
        p = chances[group_of[at]] if at in group_of else 0.01
        votes.append([same, len(group) - bool(group) - same])
        chance.append([log_odds(p), log_odds(chances[-1])])
        answer = number(each.answer or "")
        results.append(
            [
                _share(each.numbers, [solutions[o].numbers for o in others]),
                _share(each.numbers, [solutions[o].numbers for o in apart]),
                np.mean([answer in solutions[o].numbers for o in apart] or [False]),
                np.mean([number(solutions[o].answer or "") in each.numbers for o in apart] or [False]),
                np.log1p(len(each.numbers)),
            ]
        )
    mine = {name: values[list(drawn)] for name, values in own.items()}
    return groups, {
        "posterior": np.array(chance),
        "votes": np.array(votes, float),
        "results": np.array(results, float),
        **mine,
    }


def _share(numbers: frozenset[str], others: Sequence[frozenset[str]]) -> float:
    """Mean share of the others that have one of the numbers."""
    return float(np.mean([each in other for each in numbers for other in others] or [False]))


def features_alone(questions: Sequence[Question]) -> list[Features]:
    """Features of each solution by itself, by standard deviations within its cell and mode."""
    rows, kinds = [], []
    for question in questions:
        lengths = [(s.mode, log(sum(s.tokens) + 1)) for s in question.solutions]
        for (mode, length), s in zip(lengths, question.solutions, strict=True):
            tokens, steps = np.array(s.tokens, float), np.array(s.logprobs) / np.maximum(s.tokens, 1)
            usual = float(np.median([n for m, n in lengths if m == mode]))
            entropy = [np.average(s.entropy, weights=tokens) if len(s.entropy) > 1 else s.entropy[0]]
            mean = sum(s.logprobs) / sum(s.tokens)
            confidence = [mean, steps.min(), steps[-1], s.lowest, *entropy, max(s.entropy)]
            rows.append([s.probe, *confidence, length, len(s.tokens), s.slips, abs(length - usual)])
            kinds.append((*question.cell, mode))
    values = np.array(rows)
    for kind in set(kinds):
        of_kind = np.array([each == kind for each in kinds])
        part = values[of_kind]
        values[of_kind] = (part - part.mean(0)) / np.maximum(part.std(0), 1e-9)
    ends = np.cumsum([len(question.solutions) for question in questions])[:-1]
    is_program = [np.array([[s.mode == "program"] for s in q.solutions], float) for q in questions]
    return [
        {"probe": own[:, :1], "tokens": own[:, 1:7], "form": np.concatenate([own[:, 7:], mode], 1)}
        for own, mode in zip(np.split(values, ends), is_program, strict=True)
    ]


def of_question(question: Question) -> list[float]:
    """Length, numbers and LaTeX of its text."""
    text = question.text
    return [log(len(text)), log(1 + len(_NUMBER.findall(text))), log(1 + text.count("\\"))]


def of_search(question: Question, groups: list[list[int]], rows: Features) -> tuple[int | None, Features]:
    """Place of the leader in ``groups``, and features of a search: means over the leader and over all."""
    of_answers = [rows["posterior"][group[0], 0] for group in groups]
    leader = int(np.argmax(of_answers)) if groups else None
    led = groups[leader] if leader is not None else [*range(len(rows["votes"]))]
    votes = np.array([*rows["votes"][led[0]], len(groups), sum(map(len, groups))], float)
    found = {
        name: np.concatenate([values[led].mean(0), values.mean(0)])
        for name, values in rows.items()
        if name not in ("posterior", "votes")
    }
    found["probe"] = np.array([*found["probe"], question.probe])
    asked = np.array(of_question(question))
    return leader, {"posterior": rows["posterior"][led[0]], "votes": votes, **found, "question": asked}
