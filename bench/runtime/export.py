"""Speed and memory of ``adascale export`` on a folder of traces.

Usage: ``python -m bench.runtime.export [--nodes 1000000] [--to trl-prm]``

The traces are the recorded search of the docs (21 nodes, the texts and tokens of a real model), each asking
another question; 1,000,000 nodes are 2.3 GB. ``mb`` is the most memory that the command held, ``seconds`` its
wall time from start to end.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ..common import close

DEMO = Path(__file__).parents[2] / "docs" / "demo.jsonl"


def write_traces(folder: Path, nodes: int) -> int:
    """Traces of at least so many nodes together; returns how many nodes they have."""
    first, *rest = DEMO.read_text(encoding="utf-8").splitlines(keepends=True)
    started, body = json.loads(first), "".join(rest)
    each = 1 + body.count('"kind":"step_proposed"')
    for number in range(-(-nodes // each)):
        started["problem"] |= {"id": str(number), "question": f"{number}: {started['problem']['question']}"}
        text = json.dumps(started, separators=(",", ":")) + "\n" + body
        (folder / f"{number:06}.jsonl").write_text(text, encoding="ascii")
        started = json.loads(first)
    return each * -(-nodes // each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--to", default="trl-prm")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "traces"
        folder.mkdir()
        nodes = write_traces(folder, args.nodes)
        output = Path(name) / "rows.jsonl"
        started = time.monotonic()
        command = [sys.executable, "-m", "adascale", "export", "--to", args.to, "--from", str(folder)]
        subprocess.run([*command, "-o", str(output)], check=True)
        seconds = time.monotonic() - started
        rows = json.loads(output.with_name("rows.jsonl.card.json").read_text())["rows"]["train"]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    close(
        {
            "nodes": nodes,
            "rows": rows,
            "seconds": round(seconds, 1),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
            "nodes_per_second": round(nodes / seconds),
            "mb": round(used.ru_maxrss / 1024),
        }
    )


if __name__ == "__main__":
    main()
