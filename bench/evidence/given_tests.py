"""Code tasks with more of their tests given: the first hidden ones are shown to the search as well.

    python -m bench.evidence.given_tests mbpp-test.jsonl --more 2 -o mbpp-test-3.jsonl
    python -m bench.evidence.given_tests mbpp-fit.jsonl --more 2 --every 2 -o mbpp-fit-mixed.jsonl

MBPP has three asserts for a task. Its sets here give the first; the other two stand first among the hidden
ones. A calibration that is to know what one test is worth, and what three are, needs tasks of both kinds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def with_more(record: dict[str, Any], more: int) -> dict[str, Any]:
    """The record with so many of its hidden tests given; at least one stays hidden."""
    hidden = list(record["hidden"])
    shown = hidden[: min(more, len(hidden) - 1)]
    return {**record, "tests": [*record["tests"], *shown], "hidden": hidden[len(shown) :]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--more", type=int, default=2, help="hidden tests that are given too")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only in every Nth task")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    records = [json.loads(line) for line in args.data.read_text(encoding="utf-8").splitlines()]
    changed = [
        with_more(record, args.more) if at % args.every == 0 else record for at, record in enumerate(records)
    ]
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in changed)
    args.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
