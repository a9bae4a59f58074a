"""A batch of very many questions: how fast it starts, how fast it goes on, and whether its memory stays flat.

Usage: ``python -m bench.runtime.lines MODEL.gguf [--lines 200000] [--seconds 60]``

The model is best a tiny one: what is measured is all but the model. ``start_s`` and ``resume_s`` are the
seconds to the first new record, of a new output and of one that is half done. ``grown_mb`` is what parent and
worker together grew by between a third of the seconds and their end.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from ..common import close, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
        with source.open("w") as file:
            for n in range(args.lines):
                file.write(json.dumps({"id": n, "question": f"What is {n} + 2?"}) + "\n")
        started, records, grown = watched(args.model, source, out, args.seconds)
        half_done(out, args.lines // 2)
        resumed, _, _ = watched(args.model, source, out, 0.0)
    rows = [["new output", f"{started:.1f}"], ["half done", f"{resumed:.1f}"]]
    table(["", "seconds to the first record"], rows)
    close(
        {
            "lines": args.lines,
            "start_s": round(started, 2),
            "resume_s": round(resumed, 2),
            "grown_mb": round(grown / 1e6, 1),
            "records": records,
            "seconds": args.seconds,
        }
    )


def watched(model: Path, source: Path, out: Path, seconds: float) -> tuple[float, int, int]:
    """Seconds to the first new record, records after ``seconds`` more, and bytes that memory grew by."""
    size = out.stat().st_size if out.exists() else 0
    command = [sys.executable, "-m", "adascale", "batch", str(source), "--output", str(out), "-m", str(model)]
    begun = time.monotonic()
    with subprocess.Popen([*command, "--strategy", "greedy", "--seed", "1", "-q"]) as process:
        while not (out.exists() and out.stat().st_size > size):
            assert process.poll() is None, "the batch ended before it had written anything"
            time.sleep(0.005)
        first = time.monotonic() - begun
        time.sleep(seconds / 3)
        before = memory(process.pid)
        time.sleep(seconds * 2 / 3)
        grown = memory(process.pid) - before
        process.send_signal(signal.SIGINT)
    with out.open("rb") as file:
        return first, sum(1 for _ in file), grown


def memory(pid: int) -> int:
    """Bytes of a process and its children."""
    parent = psutil.Process(pid)
    return sum(process.memory_info().rss for process in [parent, *parent.children(recursive=True)])


def half_done(out: Path, count: int) -> None:
    """An output with the first ``count`` records, all like its first one."""
    with out.open() as file:
        record = json.loads(file.readline())
    with out.open("w") as file:
        for n in range(count):
            file.write(
                json.dumps({**record, "line": n + 1, "id": str(n), "question": f"What is {n} + 2?"}) + "\n"
            )


if __name__ == "__main__":
    main()
