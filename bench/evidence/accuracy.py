"""Accuracy, tokens and seconds of what ``adascale batch`` wrote.

Usage: ``python -m bench.evidence.accuracy DATA.jsonl ANSWERS.jsonl ...``; the data has ``id`` and ``answer``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from adascale.engine.answers.equality import is_right

from ..common import close, table


def records(path: str) -> dict[str, dict[str, Any]]:
    """JSON Lines by id."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return {str(record["id"]): record for record in map(json.loads, lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("answers", nargs="+")
    args = parser.parse_args()
    gold = records(args.data)
    rows, figures = [], {}
    for path in args.answers:
        found = records(path)
        right = sum(
            is_right(record["answer"], gold=str(gold[id_]["answer"])) for id_, record in found.items()
        )
        tokens = sum(record["usage"]["generated_tokens"] for record in found.values()) / len(found)
        seconds = sum(record["usage"]["seconds"] for record in found.values())
        name = Path(path).stem
        figures[name] = {
            "questions": len(found),
            "accuracy": round(right / len(found), 4),
            "tokens": round(tokens, 1),
            "seconds": round(seconds, 1),
        }
        each = seconds / len(found)
        rows.append([name, str(len(found)), f"{right / len(found):.3f}", f"{tokens:.0f}", f"{each:.1f}"])
    table(["run", "questions", "accuracy", "tokens a question", "seconds a question"], rows)
    close(figures)


if __name__ == "__main__":
    main()
