"""The guard against models that cannot program, on recorded draws whose programs are replaced.

Usage: ``python -m bench.evidence.programs_guard FILE.jsonl.gz ... [--orders 2]``

Each file is a cell of draws in both modes (``recorded_draws``). Its programs stay as they are; or all crash,
print nothing, or print a number of their own; or those that are correct print the wrong answer that the prose
of their question gives most often, or all do. Each is searched by the rule of models without a calibration
(``by_votes``), by turns and in prose alone. Then a user asks ``ASKED`` questions of the cell, again and again
in other orders: by turns, until ``ProgramUse`` finds a fault, and in prose from there on.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adascale.engine.answers.equality import same_answer
from adascale.engine.calibration.votes import VotePosterior
from adascale.engine.search.program_guard import ProgramUse
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Adaptive, Strategy

from ..common import close, table
from . import recorded_draws

ASKED = 100
USERS = 100

Printed = Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]
"""Output and error of a program in the place of what it printed, by its question and itself."""


def _usual_mistake(question: Mapping[str, Any]) -> str:
    """The wrong answer that prose gives most often."""
    answers = [each["answer"] for each in question["samples"]]
    wrong = Counter(a for a in answers if a is not None and not same_answer(question["gold"], a))
    return wrong.most_common(1)[0][0] if wrong else "-1"


def _is_right(question: Mapping[str, Any], program: Mapping[str, Any]) -> bool:
    return program["answer"] is not None and same_answer(question["gold"], program["answer"])


REPLACED: Mapping[str, Printed] = {
    "as they are": lambda question, program: program["execution"],
    "all crash": lambda question, program: ["", "NameError: name 'x' is not defined"],
    "print nothing": lambda question, program: ["", ""],
    "print any number": lambda question, program: [str(random.Random(program["texts"][0]).random()), ""],
    "correct ones repeat the mistake of prose": lambda question, program: (
        [_usual_mistake(question), ""] if _is_right(question, program) else program["execution"]
    ),
    "all repeat the mistake of prose": lambda question, program: [_usual_mistake(question), ""],
}

Results = dict[tuple[int, str], Record]
"""Search of each question, by order and id."""


def searched(path: Path, strategy: Strategy, orders: int) -> tuple[Results, dict[str, Any]]:
    """The searches of every question of a file, and their questions by id."""
    header, _ = recorded_draws.load(path)
    votes = VotePosterior(recorded_draws.expected_rate(header))
    _, driver, problems = recorded_draws.replay_driver(path, orders, calibrated=False, calibrator=votes)
    found: Results = {}
    for order in range(orders):
        settings = Settings(recorded_draws.within(strategy, header), seed=header["seed"] + order)
        for problem, event in driver.run(problems, settings):
            found[order, problem.id] = Record.after(found.get((order, problem.id)), event)
    return found, {problem.id: problem for problem in problems}


def figures(record: Record, gold: str) -> tuple[float, int]:
    """Whether the answer is correct, and the tokens."""
    right = record.answer is not None and same_answer(gold, record.answer)
    return float(right), record.usage.generated_tokens


def play(path: Path, name: str, orders: int) -> list[str]:
    """One row: a file with one replacement."""
    header, records = recorded_draws.load(path)
    for record in records:
        own = record["program"]
        for program in [*own["samples"], own["greedy"]]:
            program["execution"] = REPLACED[name](record, program)
    with tempfile.TemporaryDirectory() as folder:
        replaced = Path(folder) / "replaced.jsonl.gz"
        recorded_draws.append(replaced, [header, *records])
        both, problems = searched(replaced, Adaptive(modes=("program", "prose")), orders)
        prose, _ = searched(replaced, Adaptive(), orders)
    by_turns = {key: figures(record, problems[key[1]].answer) for key, record in both.items()}
    alone = {key: figures(record, problems[key[1]].answer) for key, record in prose.items()}
    begun, guarded = [], []
    for user in range(USERS):
        rng, use = random.Random(user), ProgramUse()
        at = ASKED
        for asked, key in enumerate(rng.choices(sorted(both), k=ASKED)):
            guarded.append(alone[key] if use.fault else by_turns[key])
            if not use.fault and (use := use.after(both[key])).fault:
                at = asked + 1
        begun.append(at)
    found = [np.mean(list(each), axis=0) for each in (by_turns.values(), alone.values(), guarded)]
    met = [at for at in begun if at < ASKED]
    return [
        path.name.removesuffix(".jsonl.gz"),
        name,
        *(f"{right:.3f}, {tokens:,.0f}" for right, tokens in found),
        f"{len(met) / USERS:.2f}",
        f"{np.median(met):.0f}" if met else "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--orders", type=int, default=2)
    args = parser.parse_args()
    rows = [play(path, name, args.orders) for path in args.files for name in REPLACED]
    table(["cell", "programs", "by turns", "prose alone", "guarded", "left out", "after questions"], rows)
    close({"rows": rows})


if __name__ == "__main__":
    main()
