"""The kind that messages and questions are taken for, beside the one that they have.

Usage: ``python -m bench.evidence.kinds FILE.jsonl[=KIND] ... [-n 300] [--misses]``

A record has a ``message`` or a ``question``, and its ``kind`` unless all of a file are of one, such as
``gsm8k-train.jsonl=value``. A choice whose options are not those of the record counts as missed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any, get_args

from adascale.engine.kinds.recognising import Recognised, recognise_message
from adascale.engine.types import KindName

from ..common import close, table

KINDS: tuple[KindName, ...] = get_args(KindName)


def is_right(found: Recognised, record: dict[str, Any], kind: str) -> bool:
    """True for the kind of the record and, of a choice, its options."""
    return found.kind == kind and list(found.options) == record.get("options", list(found.options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE.jsonl[=KIND]")
    parser.add_argument("-n", type=int, help="records of each file, from its beginning")
    parser.add_argument("--misses", action="store_true", help="print what was taken for another kind")
    args = parser.parse_args()
    rows, figures = [], {}
    for name, _, kind_of_all in (each.partition("=") for each in args.files):
        lines = Path(name).read_text(encoding="utf-8").rstrip("\n").split("\n")[: args.n]
        found: Counter[str] = Counter()
        right = 0
        for record in map(json.loads, lines):
            message, kind = record.get("message") or record.get("question", ""), kind_of_all or record["kind"]
            recognised = recognise_message(message)
            found[recognised.kind] += 1
            right += is_right(recognised, record, kind)
            if args.misses and not is_right(recognised, record, kind):
                print(f"{kind}, taken for {recognised.kind} ({recognised.why}): {message!r:.400}")
        figures[Path(name).stem] = round(right / len(lines), 4)
        rows.append(
            [
                Path(name).stem,
                str(len(lines)),
                f"{right / len(lines):.3f}",
                *(str(found[kind]) for kind in KINDS),
            ]
        )
    table(["file", "records", "right", *KINDS], rows)
    close(figures)


if __name__ == "__main__":
    main()
