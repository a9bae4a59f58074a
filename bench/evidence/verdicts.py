"""Which recorded solutions are right by the judge of now, and what has changed since another time.

Usage: ``python -m bench.evidence.verdicts FILE.jsonl.gz ... -o NOW.jsonl [--against THEN.jsonl]``

Every file of draws (``recorded_draws``) is judged anew: samples, greedy solutions and what was drawn again. A
line of the output is one answer to one question: how many solutions gave it, and whether it is right. Against
the output of another version it shows each verdict that differs. Where texts were kept their answers are read
again too, and those that are read otherwise now are counted.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adascale.engine.answers.equality import is_right

from ..common import close, read_lines
from . import recorded_draws


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer to one question of a file of draws, and whether it is right."""

    file: str
    id: str
    gold: str
    answer: str
    solutions: int
    right: bool


def parts(solution: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A solution and all that was drawn again in it."""
    yield solution
    for others in solution.get("again", {}).values():
        for other in others:
            yield from parts(other)


def verdicts(path: Path) -> Iterator[Verdict]:
    """Verdicts on all answers in a file of draws."""
    for record in recorded_draws.load(path)[1]:
        modes = recorded_draws.by_mode(record).values()
        solutions = [solution for own in modes for solution in (*own["samples"], own["greedy"])]
        answers = Counter(part["answer"] for solution in solutions for part in parts(solution))
        for answer, count in answers.items():
            if answer is None:
                continue
            right = is_right(answer, gold=record["gold"])
            yield Verdict(path.name, record["id"], record["gold"], answer, count, right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--against", type=Path, help="the output of another version")
    args = parser.parse_args()
    found = [verdict for path in args.files for verdict in verdicts(path)]
    args.output.write_text("".join(json.dumps(asdict(verdict)) + "\n" for verdict in found), encoding="utf-8")
    before = read_lines(args.against) if args.against else []
    then = {(v.file, v.id, v.answer): v.right for v in (Verdict(**line) for line in before)}
    changed = [v for v in found if then.get((v.file, v.id, v.answer), v.right) != v.right]
    for v in changed:
        now = "right" if v.right else "wrong"
        print(f"{v.file} {v.id}: {v.solutions} x {v.answer!r}, known {v.gold!r}: now {now}")
    figures: dict[str, dict[str, int]] = {}
    for v in found:
        of_file = figures.setdefault(v.file, {"solutions": 0, "right": 0, "now_right": 0, "now_wrong": 0})
        of_file["solutions"] += v.solutions
        of_file["right"] += v.solutions * v.right
    for v in changed:
        figures[v.file]["now_right" if v.right else "now_wrong"] += v.solutions
    close({"files": figures, "changed": len(changed)})


if __name__ == "__main__":
    main()
