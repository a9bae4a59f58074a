"""Facts: how often short answers of a model are right, and how true the number is that is shown with them.

Usage:
``python -m bench.evidence.facts draw MODEL OUT.jsonl --sets FILE ... [--questions 150]``
``python -m bench.evidence.facts table OUT.jsonl ... --sets FILE ...``

A file has questions with all answers that are accepted, as it is published: TREC's (``.tsv``, patterns),
WebQuestions (``.json``) or NQ-open (``.jsonl``); docs/research.md says where they come from. Of each
question one greedy answer and eight others are written and appended as soon as they are there; the same
command goes on. ``table`` plays what ships, each set of questions apart, and a vote of the eight with the
same number, and prints the power and the neutral point that fit the greedy answers of each file and of all.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adascale.engine.calibration.posterior import VOTES, Posterior
from adascale.engine.kinds.value import Fact, same_name
from adascale.engine.request import Settings
from adascale.engine.strategies import Strategy, Vote, preset
from adascale.engine.types import Problem, probability_of

from ..common import Played, close, judged, level, share, table
from ..metrics import auc
from .calls_table import played_back, searched
from .likelihood import constants
from .tool_calls import SEED, Drawn, draw_prose, load

Array = NDArray[Any]

SAMPLES = 8
_WINDOW = 2048


@dataclass(frozen=True, slots=True)
class Question:
    """A question for a fact.

    Attributes:
        id: The name of its file, and its own.
        text: The question.
        accepts: True for an answer that is right.
    """

    id: str
    text: str
    accepts: Callable[[str], bool]

    @property
    def problem(self) -> Problem:
        """The question as a search has it."""
        return Problem(self.id, self.text, kind="fact")


def questions(path: Path) -> list[Question]:
    """The questions of a file, in an order that the seed draws."""
    read: Mapping[str, Callable[[Path], list[Question]]] = {
        ".tsv": _of_patterns,
        ".json": _of_web_questions,
        ".jsonl": _of_nq_open,
    }
    found = read[path.suffix](path)
    random.Random(SEED).shuffle(found)
    return found


def _of_patterns(path: Path) -> list[Question]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Question(f"{path.stem}/{id_}", text, _matching(pattern)) for id_, _, text, pattern in rows]


def _matching(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda answer: compiled.search(answer) is not None


def _of_web_questions(path: Path) -> list[Question]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Question(f"{path.stem}/{row['qId']}", row["qText"], _one_of(row["answers"])) for row in rows]


def _of_nq_open(path: Path) -> list[Question]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Question(f"{path.stem}/{at}", row["question"], _one_of(row["answer"])) for at, row in enumerate(rows)
    ]


def _one_of(known: Sequence[str]) -> Callable[[str], bool]:
    return lambda answer: any(same_name(answer, each) for each in known)


def draw(args: argparse.Namespace) -> None:
    """Write what the file lacks, the files by turns."""
    chosen = [questions(path)[: args.questions] for path in args.sets]
    asked = [each[at].problem for at in range(args.questions) for each in chosen if at < len(each)]
    draw_prose(args.model, asked, SAMPLES, args.out, "replies", _WINDOW, args.threads)
    close({"questions": len(asked), "model": args.model})


Rows = Sequence[tuple[Question, Drawn]]


def rows_of(path: Path, sets: Sequence[Path]) -> Rows:
    """Each record with its question, if that is of one of the sets."""
    known = {question.id: question for each in sets for question in questions(each)}
    return [(known[record["id"]], record) for record in load(path)[1] if record["id"] in known]


def play(question: Question, record: Drawn, strategy: Strategy) -> Played:
    """A strategy on recorded answers."""
    policy = played_back(question.problem, record, "prose", record["replies"])
    posterior = Posterior.of_model("fact", 0.0)
    end = searched(question.problem, policy, Settings(strategy, seed=SEED), posterior)
    answer = end.result.answer
    right = answer is not None and question.accepts(answer)
    return Played(right, probability_of(end.result.confidence), end.usage.generated_tokens)


def show(args: argparse.Namespace) -> None:
    """Print a table for each file."""
    figures: dict[str, Any] = {}
    head = ["n", "right", "tokens", "ECE (noise)", "AUC", "p >= .8", "of them", "p < .2", "of them"]
    answers = []
    for path in args.drawn:
        rows = rows_of(path, args.sets)
        names = sorted({set_of(question.id) for question, _ in rows})
        found: dict[str, list[str]] = {}
        rules = {"ships": preset("fact", "medium"), "vote": Vote(samples=SAMPLES)}
        for rule, strategy in rules.items():
            played = [(set_of(q.id), play(q, record, strategy)) for q, record in rows]
            for name in (*names, "all"):
                found[f"{rule}, {name}"] = _row([each for own, each in played if name in (own, "all")])
        table([path.stem, *head], [[name, *cells] for name, cells in found.items()])
        figures[path.stem] = found
        answers.append(greedy_answers(rows))
    files = [*(path.stem for path in args.drawn), "all"]
    p, nats, right = (np.concatenate(each) for each in zip(*answers, strict=True))
    lines = [
        [name, *(constants(*each) if 0 < each[2].sum() < len(each[2]) else ("-", "-"))]
        for name, each in zip(files, [*answers, (p, nats, right)], strict=True)
    ]
    table(["greedy answers", "power", "nats"], lines)
    close({**figures, "constants": lines})


def greedy_answers(rows: Rows) -> tuple[Array, Array, Array]:
    """Even odds, the log of the nats for each token, and if it is right, of each greedy answer."""
    nats, right, words = [], [], VOTES["fact"].words
    assert words is not None, "facts are judged by their words"
    for question, record in rows:
        reply = record["greedy"]
        answer = Fact().answer(question.problem, "prose", reply["text"], reply["finish"], None)
        if answer is not None:
            each = min(max(-reply["logprob"] / reply["tokens"], words.fewest), words.most)
            nats.append(math.log(each))
            right.append(question.accepts(answer))
    return np.full(len(nats), 0.5), np.array(nats), np.array(right)


def set_of(id_: str) -> str:
    """Name of the file that a question is from."""
    return id_.rpartition("/")[0]


def _row(played: Sequence[Played]) -> list[str]:
    known = [(each.p, each.right) for each in played if each.p is not None]
    sure, doubtful = [right for p, right in known if p >= 0.8], [right for p, right in known if p < 0.2]
    return [
        str(len(played)),
        share([each.right for each in played]),
        f"{fmean(each.tokens for each in played):.0f}",
        level(known),
        f"{auc(judged(known)):.2f}" if known else "-",
        str(len(sure)),
        share(sure),
        str(len(doubtful)),
        share(doubtful),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("model")
    drawing.add_argument("out", type=Path)
    drawing.add_argument("--sets", type=Path, nargs="+", required=True)
    drawing.add_argument("--questions", type=int, default=150, help="of each file")
    drawing.add_argument("--threads", type=int, help="by default the physical cores")
    drawing.set_defaults(run=draw)
    showing = commands.add_parser("table")
    showing.add_argument("drawn", type=Path, nargs="+")
    showing.add_argument("--sets", type=Path, nargs="+", required=True)
    showing.set_defaults(run=show)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
